// Faults that a page shows in a browser: pictures that are broken or wider than their column, drawings without words,
// captions and printed lines that are cut, and text whose contrast is under WCAG AA: 4.5, or 3 if it is large;
// seen through what is half transparent.
() => {
  const faults = [];
  const column = document.querySelector("main").getBoundingClientRect();
  for (const words of document.querySelectorAll("main figcaption")) {
    if (words.getBoundingClientRect().right > column.right + 1) faults.push("cut caption " + words.textContent.slice(0, 40));
  }
  for (const img of document.images) {
    if (!img.naturalWidth) faults.push("broken picture " + img.alt);
    const box = (img.closest(".cell-output-display, .strip ol") || img).getBoundingClientRect();
    if (box.right > column.right + 1) faults.push("wide picture " + img.alt);
  }
  for (const drawing of document.querySelectorAll("svg.drawing")) {
    const words = drawing.getAttribute("aria-label") || "";
    if (drawing.getAttribute("role") != "img" || !words.trim()) faults.push("a drawing without words");
    const box = drawing.closest(".cell-output-display").getBoundingClientRect();
    if (box.right > column.right + 1) faults.push("wide drawing " + words);
  }
  for (const pre of document.querySelectorAll(".cell-output pre"))
    if (pre.scrollWidth > pre.clientWidth) faults.push("cut: " + pre.textContent.slice(0, 60));

  const rgba = c => { // of rgb(…), or of a mixed colour, whose channels go up to 1
    const [r, g, b, a = 1] = (c.match(/[\d.]+/g) || []).map(Number);
    return c.startsWith("color(") ? [255*r, 255*g, 255*b, a] : [r, g, b, a];
  };
  const linear = v => (v /= 255) <= .03928 ? v/12.92 : ((v + .055)/1.055)**2.4;
  const light = c => {
    const [r, g, b] = c.map(linear);
    return .2126*r + .7152*g + .0722*b;
  };
  const behind = e => {
    const over = [];
    let ground = [255, 255, 255];
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = rgba(getComputedStyle(e).backgroundColor);
      if (a == 1) { ground = [r, g, b]; break; }
      over.push([r, g, b, a]);
    }
    const mix = (c, [r, g, b, a]) => [r, g, b].map((v, i) => a*v + (1 - a)*c[i]);
    return over.reduceRight(mix, ground);
  };
  const pale = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const hasText = [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
    if (!hasText || !e.checkVisibility() || e.closest("annotation, script, style")) continue;
    const style = getComputedStyle(e);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    const levels = [light(rgba(e.closest("svg.drawing") ? style.fill : style.color).slice(0, 3)), light(behind(e))];
    const [bright, dark] = levels.sort((x, y) => y - x);
    const ratio = (bright + .05)/(dark + .05);
    if (ratio < (large ? 3 : 4.5)) {
      const text = e.textContent.slice(0, 30);
      pale.add(`contrast ${ratio.toFixed(1)} of ${e.tagName} ${e.className}: ${text}`);
    }
  }
  return faults.concat([...pale]);
}
