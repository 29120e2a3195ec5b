// Light and dark: as Quarto does it, one sheet laid over the other, and remembered but from disk.
const sheets = kind => document.querySelectorAll("link.quarto-color-scheme" + kind);
const onDisk = location.protocol == "file:";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let here = prefersDark.matches ? "alternate" : "default";

window.hasAlternateSentinel = () =>
  ((!onDisk && localStorage.getItem("quarto-color-scheme")) || here) == "alternate";

function show(dark) {
  sheets(".quarto-color-alternate").forEach(e => e.rel = dark ? "stylesheet" : "disabled-stylesheet");
  sheets(":not(.quarto-color-alternate)").forEach(e => e.rel = "stylesheet");
  document.body.classList.toggle("quarto-dark", dark);
  document.body.classList.toggle("quarto-light", !dark);
  document.querySelectorAll(".quarto-color-scheme-toggle").forEach(e => e.classList.toggle("alternate", dark));
}

// both ask by the id that three links share
document.querySelector("link#quarto-text-highlighting-styles.quarto-color-scheme-extra").rel = "disabled-stylesheet";
document.querySelector("link#quarto-bootstrap.quarto-color-scheme-extra").rel = "disabled-stylesheet";

window.quartoToggleColorScheme = () => {
  here = window.hasAlternateSentinel() ? "default" : "alternate";
  if (!onDisk) localStorage.setItem("quarto-color-scheme", here);
  show(here == "alternate");
};
show(window.hasAlternateSentinel());
