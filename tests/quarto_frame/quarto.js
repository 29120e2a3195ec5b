// A module that imports another: the entry of the contents that was read last is the active one.
import * as tabsets from "./tabsets/tabsets.js";

const entries = [...document.querySelectorAll("a[data-scroll-target]")];
function follow() {
  const passed = entries.filter(e => {
    const goal = document.getElementById(e.dataset.scrollTarget.slice(1));
    return goal && goal.getBoundingClientRect().top < 150;
  });
  for (const e of entries) e.classList.toggle("active", e == (passed.at(-1) || entries[0]));
}
addEventListener("scroll", follow);
follow();
tabsets.init();
