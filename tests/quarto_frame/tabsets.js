export function init() {
  document.body.dataset.tabsets = document.querySelectorAll(".panel-tabset").length;
}
