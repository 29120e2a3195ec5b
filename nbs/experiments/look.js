// The live page: come closer to a painting than its pixels.
// needs: kit network painting-data
"use strict";
kit.experiment("look", stage => {

const SIZE = 384; // pixels of the canvas, along its longer side
const CLOSEST = 64;
const start = {row: -.602, col: -.21, zoom: 8}; // her eye

let net = network.read(kit.bytes(kit.data.painting.network));
let view = {...start};
let canvas;
let whole; // how far the painting goes from its middle: [rows, cols], the longer of them 1
let painting = 0; // counts what was begun, so that an older one stops

const slot = kit.add(stage, "div");
const buttons = kit.controls(stage);
kit.button(buttons, "Closer", () => zoom(1.5));
kit.button(buttons, "Further", () => zoom(1 / 1.5));
kit.button(buttons, "All", () => show({row: 0, col: 0, zoom: 1}));
const fileLabel = kit.add(buttons, "label", {}, "painting ");
const file = kit.add(fileLabel, "input", {type: "file", accept: ".safetensors"});
file.addEventListener("change", () => open(file.files[0]));
const says = kit.says(stage);
const trouble = kit.says(stage);
trouble.setAttribute("role", "status");

// ---------------------------------------------------------------- what is seen

function show(next) {
  const zoom = kit.clip(next.zoom, [1, CLOSEST]);
  const inside = (place, axis) => kit.clip(place, [-1, 1].map(side => side * whole[axis] * (1 - 1 / zoom)));
  view = {row: inside(next.row, 0), col: inside(next.col, 1), zoom};
  const size = `${network.count(net).toLocaleString("en")} parameters`;
  const where = `row ${kit.fixed(view.row, 2)}, col ${kit.fixed(view.col, 2)}`;
  says.textContent = `${kit.fixed(zoom, 1)} × · ${where} · ${size}`;
  paint();
}

function shown() {
  const [rows, cols] = whole.map(side => side / view.zoom);
  return [view.row - rows, view.col - cols, view.row + rows, view.col + cols];
}

async function paint() {
  const mine = ++painting;
  const {height, width} = canvas.element;
  for (const colours of network.paintCoarseFirst(net, height, width, shown(), 16)) {
    canvas.show(colours);
    await new Promise(requestAnimationFrame);
    if (mine != painting) return;
  }
}

// The place (row, col) under a pointer stays where it is.
function zoom(factor, [row, col] = [view.row, view.col]) {
  const next = kit.clip(view.zoom * factor, [1, CLOSEST]);
  const part = view.zoom / next;
  show({row: row + (view.row - row) * part, col: col + (view.col - col) * part, zoom: next});
}

// Move by parts of what is seen.
function move(down, right) {
  show({
    row: view.row + down * 2 * whole[0] / view.zoom,
    col: view.col + right * 2 * whole[1] / view.zoom,
    zoom: view.zoom,
  });
}

// ---------------------------------------------------------------- hands

const keys = {
  ArrowUp: () => move(-.15, 0),
  ArrowDown: () => move(.15, 0),
  ArrowLeft: () => move(0, -.15),
  ArrowRight: () => move(0, .15),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  "0": () => show({row: 0, col: 0, zoom: 1}),
};

// The place under a point of the screen.
function placeAt(x, y) {
  const box = canvas.element.getBoundingClientRect();
  const [top, left, bottom, right] = shown();
  return [
    top + (bottom - top) * (y - box.top) / box.height,
    left + (right - left) * (x - box.left) / box.width,
  ];
}

const fingers = new Map(); // or the mouse: where each was last
function middle() {
  const points = [...fingers.values()];
  return [0, 1].map(axis => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}
function spread() {
  const [[x, y], [u, v]] = fingers.values();
  return Math.hypot(x - u, y - v);
}

function onMove(event) {
  if (!fingers.has(event.pointerId)) return;
  const before = middle();
  const wide = fingers.size == 2 ? spread() : 1;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  const after = middle();
  const box = canvas.element.getBoundingClientRect();
  move((before[1] - after[1]) / box.height, (before[0] - after[0]) / box.width);
  if (fingers.size == 2) zoom(spread() / wide, placeAt(...after));
}

function listen(element) {
  element.addEventListener("keydown", event => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  element.addEventListener("pointerdown", event => {
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  element.addEventListener("pointermove", onMove);
  for (const end of ["pointerup", "pointercancel"]) {
    element.addEventListener(end, event => fingers.delete(event.pointerId));
  }
  element.addEventListener("dblclick", event => zoom(2, placeAt(event.clientX, event.clientY)));
  element.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls; two fingers on a trackpad come with ctrl
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 100), placeAt(event.clientX, event.clientY));
  }, {passive: false});
}

// ---------------------------------------------------------------- paintings

function hang(next, at) {
  net = next;
  const long = Math.max(...net.picture);
  whole = net.picture.map(side => side / long);
  const [height, width] = whole.map(side => Math.max(1, Math.round(SIZE * side)));
  slot.replaceChildren();
  const words = "A painting; arrow keys move, plus and minus zoom";
  canvas = kit.canvas(slot, height, width, words);
  canvas.element.setAttribute("role", "application");
  canvas.element.tabIndex = 0;
  listen(canvas.element);
  show(at);
}

async function open(chosen) {
  if (!chosen) return; // the chooser was cancelled
  try {
    hang(network.read(new Uint8Array(await chosen.arrayBuffer())), {row: 0, col: 0, zoom: 1});
    trouble.textContent = "";
  } catch (error) {
    trouble.textContent = `${chosen.name}: ${error.message}`;
  }
}

hang(net, start);
return {
  get view() { return view; },
  get net() { return net; },
  get window() { return shown(); },
  get canvas() { return canvas; },
};
});
