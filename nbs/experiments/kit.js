// What the experiments share: axes, sliders, canvases, and numbers as text. Plain JavaScript, no request.
// An experiment is a function that builds itself in its place on a page; see `experiment` at the end.
"use strict";
const kit = (() => {

// ---------------------------------------------------------------- numbers as text

// With true minus signs; "–" for what is not known yet.
function fixed(x, digits) {
  if (x === undefined || Number.isNaN(x)) return "–";
  return x.toFixed(digits).replace("-", "−");
}

// Peak signal-to-noise ratio of a mean squared error, for colours from 0 to 1.
function decibels(error) {
  return error > 0 ? `${fixed(-10 * Math.log10(error), 1)} dB` : "exact";
}

// ---------------------------------------------------------------- elements

function add(parent, name, attributes = {}, words = "") {
  const svg = parent.namespaceURI.endsWith("svg") || name == "svg";
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(words);
  parent.append(element);
  return element;
}

// A row for sliders, choices and buttons.
function controls(place) {
  return add(place, "div", {class: "experiment-controls"});
}

// A slider with its name before it and its value, as `show` writes it, behind. `changed` gets the value.
function slider(row, name, {min, max, step, value, show = String}, changed) {
  const label = add(row, "label", {}, name + " ");
  const input = add(label, "input", {type: "range", min, max, step, value});
  const output = add(label, "output");
  const say = () => {
    output.textContent = show(input.valueAsNumber);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    say();
    changed(input.valueAsNumber);
  });
  say();
  return {
    input,
    get value() { return input.valueAsNumber; },
    set value(x) { input.value = x; say(); },
  };
}

// A list to choose from: `options` are [value, words].
function choice(row, name, options, changed) {
  const label = add(row, "label", {}, name + " ");
  const select = add(label, "select");
  for (const [value, words] of options) add(select, "option", {value}, words);
  select.addEventListener("change", () => changed(select.value));
  return select;
}

function button(row, words, pressed) {
  const made = add(row, "button", {type: "button"}, words);
  made.addEventListener("click", () => pressed(made));
  return made;
}

// What the experiment says in words. Screen readers may read it; it does not interrupt them.
function says(place) {
  return add(place, "output", {class: "experiment-says", "aria-live": "off"});
}

// A canvas of `height` by `width` pixels, with `show(values)` for rows of red, green, blue from 0 to 1.
function canvas(place, height, width, words) {
  const element = add(place, "canvas", {width, height, role: "img", "aria-label": words});
  const context = element.getContext("2d", {willReadFrequently: true});
  const image = context.createImageData(width, height);
  function show(values) {
    for (let p = 0, k = 0; p < 4 * width * height; p += 4) {
      for (let c = 0; c < 3; c++) image.data[p + c] = 255 * values[k++]; // the array rounds and clips
      image.data[p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }
  return {element, context, show};
}

// ---------------------------------------------------------------- axes

let plots = 0; // so many are on this page

// Axes from `x[0]` to `x[1]` and `y[0]` to `y[1]`. `draw(plot)` draws lines, dots and words in the
// numbers of the axes, and is called again whenever the width of the page changes, and by `redraw()`.
// `xwords` writes a number of the axis below, such as the power of two that it stands for.
function plot(place, {x, y, height = 300, words, xlabel = "", ylabel = "", xwords = tickWords}, draw) {
  const margin = {left: 46, right: 12, top: 10, bottom: 38};
  const role = {role: "group", "aria-label": words};
  const svg = add(place, "svg", {class: "experiment-plot", height, ...role});
  const frame = add(svg, "g", {"aria-hidden": "true"});
  const marks = add(svg, "g", {"aria-hidden": "true"});
  const handles = add(svg, "g");
  const clipId = `inside-axes-${++plots}`;
  const inside = add(add(svg, "clipPath", {id: clipId}), "rect", {x: margin.left, y: margin.top});
  const moved = [];
  const tall = height - margin.top - margin.bottom;
  let width = 0;
  const wide = () => width - margin.left - margin.right;
  const toX = u => margin.left + (u - x[0]) / (x[1] - x[0]) * wide();
  const toY = v => height - margin.bottom - (v - y[0]) / (y[1] - y[0]) * tall;

  function drawFrame() {
    const [left, right, bottom, top] = [toX(x[0]), toX(x[1]), toY(y[0]), toY(y[1])];
    inside.setAttribute("width", Math.max(0, right - left));
    inside.setAttribute("height", bottom - top);
    frame.replaceChildren();
    for (const u of ticks(x, width / 90)) {
      add(frame, "line", {x1: toX(u), x2: toX(u), y1: bottom, y2: bottom + 4});
      add(frame, "text", {x: toX(u), y: bottom + 17, "text-anchor": "middle"}, xwords(u));
    }
    for (const v of ticks(y, height / 50)) {
      add(frame, "line", {x1: left - 4, x2: left, y1: toY(v), y2: toY(v)});
      add(frame, "text", {x: left - 7, y: toY(v) + 4, "text-anchor": "end"}, tickWords(v));
    }
    add(frame, "path", {d: `M${left} ${top}V${bottom}H${right}`});
    add(frame, "text", {x: (left + right) / 2, y: height - 4, "text-anchor": "middle"}, xlabel);
    const upwards = {x: -(bottom + top) / 2, y: 11, "text-anchor": "middle", transform: "rotate(-90)"};
    add(frame, "text", upwards, ylabel);
  }

  function redraw() {
    if (svg.clientWidth != width) {
      width = svg.clientWidth;
      drawFrame();
    }
    marks.replaceChildren();
    draw(self);
    for (const follow of moved) follow();
  }

  // The points [[x, y], …] joined; `kind` is one of the classes model, truth, data, other, faint.
  function line(points, kind = "model") {
    const inside = points.filter(point => point.every(Number.isFinite));
    if (!inside.length) return;
    const way = inside.map(([u, v]) => `${toX(u).toFixed(1)} ${toY(v).toFixed(1)}`).join("L");
    return add(marks, "path", {d: "M" + way, class: kind});
  }
  // The same, cut off at the edges of the axes.
  function curve(points, kind = "model") {
    line(points, kind)?.setAttribute("clip-path", `url(#${clipId})`);
  }
  function dot(u, v, kind = "data", radius = 3) {
    add(marks, "circle", {cx: toX(u), cy: toY(v), r: radius, class: kind});
  }
  function text(u, v, words, kind = "truth", anchor = "start") {
    add(marks, "text", {x: toX(u), y: toY(v), class: kind, "text-anchor": anchor}, words);
  }

  // Where a pointer is, in the numbers of the axes, kept inside them.
  function where(event) {
    const box = svg.getBoundingClientRect();
    const right = (event.clientX - box.left - margin.left) / wide();
    const up = (box.top + height - margin.bottom - event.clientY) / tall;
    return [clip(x[0] + right * (x[1] - x[0]), x), clip(y[0] + up * (y[1] - y[0]), y)];
  }

  // Call `drag(x, y)` while a mouse or finger is down on the axes.
  // Across the page alone, so that a finger can still scroll it, or in both directions.
  function onDrag(drag, both = false) {
    svg.style.touchAction = both ? "none" : "pan-y";
    svg.style.cursor = both ? "move" : "ew-resize";
    const go = event => drag(...where(event));
    svg.addEventListener("pointerdown", event => {
      if (event.target.closest("[role=slider]")) return;
      svg.setPointerCapture(event.pointerId);
      go(event);
    });
    svg.addEventListener("pointermove", event => {
      if (svg.hasPointerCapture(event.pointerId)) go(event);
    });
  }

  // A point to drag, or to move with the arrow keys once it has the focus. `at()` says where it is,
  // `move(x, y)` moves it, `words` name it.
  function handle(at, move, words, step = [(x[1] - x[0]) / 50, (y[1] - y[0]) / 50]) {
    const role = {tabindex: 0, role: "slider", "aria-label": words};
    const circle = add(handles, "circle", {r: 9, class: "handle", ...role});
    const directions = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
    circle.style.touchAction = "none";
    circle.style.display = "block"; // Chromium heeds touch-action on no inline element
    circle.addEventListener("keydown", event => {
      const way = directions[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const [u, v] = at();
      move(clip(u + way[0] * step[0], x), clip(v + way[1] * step[1], y));
    });
    circle.addEventListener("pointerdown", event => circle.setPointerCapture(event.pointerId));
    circle.addEventListener("pointermove", event => {
      if (circle.hasPointerCapture(event.pointerId)) move(...where(event));
    });
    function follow() {
      const [u, v] = at();
      circle.setAttribute("cx", toX(u));
      circle.setAttribute("cy", toY(v));
      circle.setAttribute("aria-valuemin", y[0]);
      circle.setAttribute("aria-valuemax", y[1]);
      circle.setAttribute("aria-valuenow", v.toFixed(3));
      circle.setAttribute("aria-valuetext", `${fixed(u, 2)}, ${fixed(v, 2)}`);
    }
    moved.push(follow);
    return circle;
  }

  const self = {svg, line, curve, dot, text, redraw, onDrag, handle};
  new ResizeObserver(() => { if (svg.clientWidth != width) redraw(); }).observe(svg);
  redraw();
  return self;
}

function clip(value, [low, high]) {
  return Math.min(high, Math.max(low, value));
}

// About `count` round numbers from `low` to `high`.
function ticks([low, high], count) {
  const rough = (high - low) / Math.max(2, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough * .999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => (first + i) * step);
}

function tickWords(value) {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

// ---------------------------------------------------------------- time

// Calls `frame()` for every picture that the screen shows, while it is going and its place is in sight.
// `frame` returns false to stop by itself.
function loop(place, frame) {
  let going = false;
  let seen = true;
  new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; }).observe(place);
  function tick() {
    if (!going) return;
    if (seen && frame() === false) self.stop();
    else requestAnimationFrame(tick);
  }
  const self = {
    get going() { return going; },
    start() { if (!going) { going = true; requestAnimationFrame(tick); } self.changed?.(); },
    stop() { going = false; self.changed?.(); },
  };
  return self;
}

// A button that starts and stops a loop.
function runButton(row, looping, start = "Start", stop = "Pause") {
  const made = button(row, start, () => looping.going ? looping.stop() : looping.start());
  looping.changed = () => { made.textContent = looping.going ? stop : start; };
  return made;
}

// ---------------------------------------------------------------- randomness and bytes

// Numbers from 0 to 1 by the generator mulberry32, and normal ones from them.
function random(seed) {
  const uniform = () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {uniform, normal};
}

// The bytes of base64, which may stand in an address: "data:…;base64,…".
function bytes(text) {
  const base64 = text.slice(text.indexOf(",") + 1);
  return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
}

// ---------------------------------------------------------------- files

// A picture from the reader's disk: {height, width, bytes}, with bytes of red, green and blue, on white.
// Its longer side gets `longest` pixels, or at most so many. Throws where the browser cannot read it.
async function openPicture(file, longest, atMost = true) {
  const bitmap = await createImageBitmap(file);
  const fit = longest / Math.max(bitmap.width, bitmap.height);
  const scale = atMost ? Math.min(1, fit) : fit;
  const [width, height] = [bitmap.width, bitmap.height].map(n => Math.max(1, Math.round(n * scale)));
  const context = Object.assign(document.createElement("canvas"), {width, height}).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const {data} = context.getImageData(0, 0, width, height);
  return {height, width, bytes: data.filter((_, k) => k % 4 < 3)};
}

// Hand what a canvas shows to the reader as a PNG.
function savePicture(canvas, name) {
  const link = document.createElement("a");
  link.href = canvas.toDataURL();
  link.download = name;
  link.click();
}

// ---------------------------------------------------------------- experiments

const data = {}; // by the name of an experiment: what its page gives it, set by experiments/NAME-data.js
const running = {}; // what each experiment that is on this page returns, for tests

// Build the experiment `name` in its place, if the page has one, and put the figure behind it away.
// `build(place, data)` fills the place.
function experiment(name, build) {
  const place = document.querySelector(`[data-experiment="${name}"]`);
  if (!place) return;
  const stage = place.querySelector(".experiment-stage");
  place.hidden = false;
  try {
    running[name] = build(stage, data[name]);
  } catch (error) {
    place.hidden = true; // the figure stays
    throw error;
  }
  for (const figure of place.previousElementSibling?.querySelectorAll(".cell-output-display") ?? []) {
    figure.classList.add("replaced");
  }
}

return {
  fixed, decibels, add, controls, slider, choice, button, says, canvas, plot, clip, loop, runButton,
  random, bytes, openPicture, savePicture, data, running, experiment,
};
})();
