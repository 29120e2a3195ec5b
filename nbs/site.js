// What scrolls can be scrolled with the keyboard. On a narrow screen a table too wide gets room.
function measure() {
  for (const table of document.querySelectorAll("main table")) {
    table.classList.remove("wide");
    table.classList.toggle("wide", table.offsetWidth > table.parentElement.clientWidth);
  }
  for (const e of document.querySelectorAll("pre, .cell-output-display, .sd-table, .math.display, .strip ol")) {
    const scrolls = e.scrollWidth > e.clientWidth; // by a pixel is enough
    if (scrolls) e.tabIndex = 0; else e.removeAttribute("tabindex");
  }
}
// One switch for all code that is folded.
function offerCode() {
  const folds = document.querySelectorAll("main details.code-fold");
  const beside = document.querySelector(".minutes p");
  if (!folds.length || !beside) return;
  const button = document.createElement("button");
  const isOpen = () => [...folds].every(fold => fold.open);
  const name = () => { button.textContent = isOpen() ? "Fold code" : "Show all code"; };
  button.type = "button";
  button.addEventListener("click", () => { const open = !isOpen(); for (const fold of folds) fold.open = open; name(); });
  for (const fold of folds) fold.addEventListener("toggle", name);
  name();
  beside.append(" · ", button);
}
// On a narrow screen the row of astronauts begins at this page's.
function showOwn() {
  const own = document.querySelector(".strip [aria-current]");
  const row = own?.closest("ol");
  if (row) row.scrollLeft = own.parentElement.offsetLeft - row.offsetLeft - row.clientWidth / 2 + own.offsetWidth / 2;
}
addEventListener("load", measure);
addEventListener("load", offerCode);
addEventListener("load", showOwn);
addEventListener("resize", measure);

// Films. The still beside a film is in a picture of its own, so that it has the film's size.
function stillOf(img, address) {
  const still = document.createElement("picture");
  const frame = img.cloneNode();
  frame.src = address;
  still.className = "still";
  still.append(frame);
  return still;
}
// A film plays while it is in sight, until the button over it stops it.
function offerFilm(source, playsAtOnce) {
  const picture = source.parentElement;
  const film = document.createElement("span");
  const button = document.createElement("button");
  let plays = playsAtOnce;
  let inSight = false;
  const show = () => {
    film.classList.toggle("stopped", !plays || !inSight);
    button.textContent = plays ? "Stop" : "Play";
    button.setAttribute("aria-label", plays ? "Stop the film" : "Play the film");
  };
  film.className = "film";
  button.type = "button";
  button.addEventListener("click", () => {
    plays = !plays;
    if (plays) source.media = "not all"; // the still of those who want no motion, but have pressed Play
    show();
  });
  picture.replaceWith(film);
  film.append(picture, stillOf(picture.querySelector("img"), source.srcset), button);
  new IntersectionObserver(seen => {
    inSight = seen[seen.length - 1].isIntersecting;
    show();
  }).observe(film);
  show();
}
function offerFilms() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const source of document.querySelectorAll("picture > source[media*='prefers-reduced-motion']")) offerFilm(source, !calm);
}
// A figure that a phone shows smaller than it is can be had in its own size, and then scrolls.
function offerLarger() {
  const kinds = ["img:not(picture img)", "svg.drawing"].map(kind => `.cell-output-display ${kind}`);
  for (const figure of document.querySelectorAll(kinds.join())) {
    const width = figure.naturalWidth || Number(figure.getAttribute("width"));
    if (width < 480) continue;
    const button = document.createElement("button");
    const place = figure.closest("figure") || figure.parentElement;
    const name = () => { button.textContent = figure.classList.contains("larger") ? "Smaller" : "Larger"; };
    button.type = "button";
    button.className = "larger-button";
    button.setAttribute("aria-description", "the figure above");
    button.addEventListener("click", () => {
      figure.style.width = figure.classList.toggle("larger") ? `${width}px` : "";
      name();
      measure();
    });
    name();
    place.append(button);
  }
}
// On a narrow screen the button of the sidebar says whether it is open, and Escape closes it.
function tellSidebar() {
  const sidebar = document.getElementById("quarto-sidebar");
  const button = document.querySelector(".quarto-btn-toggle");
  if (!sidebar || !button) return;
  const isOpen = () => sidebar.classList.contains("show");
  const tell = () => button.setAttribute("aria-expanded", String(isOpen()));
  new MutationObserver(tell).observe(sidebar, {attributeFilter: ["class"]});
  document.addEventListener("keydown", event => {
    if (event.key != "Escape" || !isOpen() || !button.offsetParent) return;
    button.click();
    button.focus();
  });
  tell();
}
for (const begin of [offerFilms, offerLarger, tellSidebar]) addEventListener("load", begin);
