// What scrolls can be scrolled with the keyboard. On a narrow screen a figure with small print scrolls, where it would shrink, and a table too wide gets room.
function measure() {
  for (const img of document.querySelectorAll(".cell-output-display img:not(picture img)")) img.classList.toggle("wide", img.naturalWidth >= 480);
  for (const table of document.querySelectorAll("main table")) {
    table.classList.remove("wide");
    table.classList.toggle("wide", table.offsetWidth > table.parentElement.clientWidth);
  }
  for (const e of document.querySelectorAll("pre, .cell-output-display, .sd-table, .math.display")) {
    const scrolls = e.scrollWidth > e.clientWidth + 1;
    if (scrolls) e.tabIndex = 0; else e.removeAttribute("tabindex");
  }
}
addEventListener("load", measure);
addEventListener("resize", measure);
