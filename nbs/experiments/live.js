// The live page: a small network learns a picture while the reader watches.
// needs: kit network painting-data
"use strict";
kit.experiment("live", stage => {

const SIZE = 64; // pixels to learn, along the longer side
const FINER = 3; // the network is asked for so many times as many in each direction
const BATCH = 32;
const TRAINING = 14; // milliseconds of each frame, about as long as the painting takes

const kinds = [["waves", "waves"], ["places", "places alone"], ["half-grid", "half-grid"]];

// ---------------------------------------------------------------- what the reader sees

const row = kit.add(stage, "div", {class: "experiment-row"});
const slots = [kit.add(row, "div"), kit.add(row, "div")];
const says = kit.says(stage);
const trouble = kit.says(stage);
trouble.setAttribute("role", "status");
const buttons = kit.controls(stage);
const looping = kit.loop(stage, frame);
const run = kit.runButton(buttons, looping, "Start", "Pause");
const rename = looping.changed;
looping.changed = () => {
  rename();
  if (!looping.going) finish();
  if (!looping.going && net.steps) run.textContent = "Go on";
};
kit.button(buttons, "Start anew", restart);
kit.button(buttons, "Save as PNG", save);
const fileLabel = kit.add(buttons, "label", {}, "picture ");
const file = kit.add(fileLabel, "input", {type: "file", accept: "image/*"});
file.addEventListener("change", () => open(file.files[0]));

const settings = kit.controls(stage);
const kind = kit.choice(settings, "network", kinds, restart);
const sigmas = {min: .25, max: 6, step: .25, value: 1.5, show: x => kit.fixed(x, 2)};
const sigma = kit.slider(settings, "sigma", sigmas, restart);
const width = kit.slider(settings, "width", {min: 4, max: 64, step: 4, value: 32}, restart);
const depth = kit.slider(settings, "depth", {min: 0, max: 6, step: 1, value: 3}, restart);
const powers = {min: -4, max: -1, step: .1, value: -2.3, show: x => kit.fixed(10 ** x, 4)};
const rate = kit.slider(settings, "learning rate", powers, () => {});
const shares = {min: 0, max: 90, step: 10, value: 20, show: x => `${x} %`};
const heldBack = kit.slider(settings, "held back", shares, restart);
const seedLabel = kit.add(settings, "label", {}, "seed ");
const seed = kit.add(seedLabel, "input", {type: "number", min: 0, max: 999999, value: 0});
seed.addEventListener("change", restart);

// ---------------------------------------------------------------- a picture to learn

let picture; // {height, width, colours}
let places; // the centres of its pixels
let fine; // those of the finer pixels that the network paints
let given; // canvases
let learned;

function learn(next) {
  picture = next;
  const {height, width} = picture;
  places = network.places(height, width);
  fine = network.places(FINER * height, FINER * width);
  slots.forEach(slot => slot.replaceChildren());
  given = kit.canvas(slots[0], height, width, "The picture to learn; gray pixels are held back");
  learned = kit.canvas(slots[1], FINER * height, FINER * width, "What the network paints so far");
  restart();
}

// A photo from the reader's disk: it stays on this machine.
async function open(photo) {
  if (!photo) return; // the chooser was cancelled
  let found;
  try {
    found = await kit.openPicture(photo, SIZE, false);
  } catch {
    trouble.textContent = `${photo.name}: this browser cannot read it as a picture`;
    return;
  }
  trouble.textContent = "";
  const {height, width, bytes} = found;
  learn({height, width, colours: Float32Array.from(bytes, v => v / 255)});
}

// ---------------------------------------------------------------- a network that learns it

let net;
let seen; // numbers of the pixels it trains on
let hidden; // and of the others
let features; // what its first layer gets at each pixel; none where that changes in training
let loss;
const batch = {colours: new Float32Array(3 * BATCH)};

function restart() {
  const {height, width: across} = picture;
  const layers = {width: width.value, depth: depth.value, sigma: sigma.value};
  net = network.create({kind: kind.value, seed: seed.valueAsNumber || 0, picture: [height, across], ...layers});
  features = net.grid ? null : network.features(net, places, height * across);
  batch.size = features ? features.length / (height * across) : 2;
  batch.places = features ? new Float64Array(BATCH * batch.size) : new Float32Array(BATCH * 2);
  sigma.input.disabled = kind.value != "waves";
  loss = undefined;
  holdBack();
  painted = 0;
  if (looping.going) paintSome(); // the next frames paint the others
  else {
    run.textContent = "Start";
    finish();
  }
}

// Draw by lot which pixels are seen, and show the others gray.
function holdBack() {
  const all = Array.from({length: places.length / 2}, (_, i) => i);
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(net.random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  const count = Math.round(all.length * heldBack.value / 100);
  hidden = all.slice(0, count);
  seen = all.slice(count);
  const shown = picture.colours.slice();
  for (const i of hidden) shown.fill(.5, 3 * i, 3 * i + 3);
  given.show(shown);
}

function step() {
  const {size} = batch;
  const from = features ?? places;
  for (let e = 0; e < BATCH; e++) {
    const i = seen[Math.floor(net.random() * seen.length)];
    for (let k = 0; k < size; k++) batch.places[e * size + k] = from[i * size + k];
    for (let c = 0; c < 3; c++) batch.colours[3 * e + c] = picture.colours[3 * i + c];
  }
  const value = network.step(net, batch.places, batch.colours, BATCH, 10 ** rate.value, features != null);
  loss = loss === undefined ? value : .99 * loss + .01 * value; // of the last hundred or so
}

function frame() {
  const until = performance.now() + TRAINING;
  do step(); while (performance.now() < until);
  paintSome();
}

// ---------------------------------------------------------------- what it paints so far

// The fine pixels fall into nine lattices, one pixel of each around every pixel of the picture. Each frame
// paints one of them, the centres first, so that the whole follows the training smoothly.
const lattices = [[1, 1], [0, 0], [2, 2], [0, 2], [2, 0], [1, 0], [1, 2], [0, 1], [2, 1]];
let painted = 0; // lattices since the network was new
let canvasColours;
let atPixels; // what the network answers at the pixels of the picture

function paintSome() {
  const {height, width} = picture;
  const [down, right] = lattices[painted % 9];
  const fineWidth = FINER * width;
  const at = new Int32Array(height * width);
  const asked = new Float32Array(2 * at.length);
  for (let i = 0; i < at.length; i++) {
    const col = i % width;
    at[i] = (FINER * (i - col) / width + down) * fineWidth + FINER * col + right;
    asked[2 * i] = fine[2 * at[i]];
    asked[2 * i + 1] = fine[2 * at[i] + 1];
  }
  const found = network.colours(net, asked);
  if (painted == 0) canvasColours = network.enlarge(found, height, width, FINER);
  at.forEach((k, i) => canvasColours.set(found.subarray(3 * i, 3 * i + 3), 3 * k));
  if (painted % 9 == 0) {
    atPixels = found;
    say();
  }
  painted++;
  learned.show(canvasColours);
}

// All lattices, of a network that does not train now.
function finish() {
  painted = 9 * Math.ceil(painted / 9);
  do paintSome(); while (painted % 9);
}

function say() {
  const size = `${network.count(net).toLocaleString("en")} parameters`;
  if (!net.steps) {
    says.textContent = `step – · loss – · ${size}`;
    return;
  }
  const parts = [`step ${net.steps.toLocaleString("en")}`, `loss ${kit.fixed(loss, 4)}`];
  if (Number.isNaN(loss)) parts.push("it has diverged: take a lower learning rate and start anew");
  else if (isFlat()) parts.push("it answers the same everywhere: take a lower learning rate and start anew");
  else parts.push(`${decibels(seen)} on the pixels it sees`);
  if (hidden.length && !Number.isNaN(loss)) parts.push(`${decibels(hidden)} on those it does not`);
  says.textContent = [...parts, size].join(" · ");
}

// Whether every pixel got the same colour, as from a network none of whose neurons answers any more.
function isFlat() {
  return atPixels.every((value, k) => Math.abs(value - atPixels[k % 3]) < .01);
}

function decibels(pixels) {
  let sum = 0;
  for (const i of pixels) {
    for (let k = 3 * i; k < 3 * i + 3; k++) sum += (kit.clip(atPixels[k], [0, 1]) - picture.colours[k]) ** 2;
  }
  return kit.decibels(sum / 3 / pixels.length);
}

// 512 pixels along the longer side, painted between frames so that the page stays awake.
async function save() {
  const scale = 512 / Math.max(picture.height, picture.width);
  const [height, width] = [picture.height, picture.width].map(n => Math.round(n * scale));
  let last;
  for (last of network.paintCoarseFirst(net, height, width)) await new Promise(requestAnimationFrame);
  const canvas = kit.canvas(document.createElement("div"), height, width, "");
  canvas.show(last);
  kit.savePicture(canvas.element, "painting.png");
}

const first = network.read(kit.bytes(kit.data.painting.network));
const colours = network.paint(first, SIZE, SIZE).map(v => kit.clip(v, [0, 1]));
learn({height: SIZE, width: SIZE, colours});
return {
  get net() { return net; },
  get picture() { return picture; },
  get pixels() { return {seen, hidden}; },
  get atPixels() { return atPixels; },
  get loss() { return loss; },
};
});
