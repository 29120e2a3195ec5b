// What scrolls can be scrolled with the keyboard. On a narrow screen a figure with small print scrolls, where it would shrink, and a table too wide gets room.
function measure() {
  for (const img of document.querySelectorAll(".cell-output-display img:not(picture img)")) img.classList.toggle("wide", img.naturalWidth >= 480);
  for (const table of document.querySelectorAll("main table")) {
    table.classList.remove("wide");
    table.classList.toggle("wide", table.offsetWidth > table.parentElement.clientWidth);
  }
  for (const e of document.querySelectorAll("pre, .cell-output-display, .sd-table, .math.display")) {
    const scrolls = e.scrollWidth > e.clientWidth; // by a pixel is enough
    if (scrolls) e.tabIndex = 0; else e.removeAttribute("tabindex");
  }
}
// Quarto's box is empty and has no word on it.
function label() {
  for (const e of document.querySelectorAll("#quarto-search input:not([placeholder]), #quarto-search input[placeholder='']")) e.placeholder = "Search";
}
addEventListener("load", measure);
addEventListener("load", label);
addEventListener("resize", measure);
