// Page 12: scratch a photo, lift the pen, and see it mended by the sheet and the network.
// needs: kit mend
"use strict";
kit.experiment("scratch", (stage, data) => {

const LONGEST = 512; // pixels along the longer side of a reader's photo
const SHORTEST = 16; // pixels along the shorter side
const SLICE = 15; // milliseconds to mend before the page gets its turn
const DEEP = 10; // pixels from the nearest known one, where none of those says what was there
const MAGENTA = [255, 0, 255];
const WORDS = ["what belongs", "in the hole?", "ask those", "around it"];
const INVITATION = "Draw on the photo, or press Scratches.";

const layers = mend.network(data.layers, kit.bytes);
const astronaut = {
  h: data.photo.height,
  w: data.photo.width,
  bytes: kit.bytes(data.photo.bytes), // red, green, blue
  known: true, // nothing was wrong with it before it was scratched
};
const {uniform} = kit.random(1);

let photo = astronaut;
let missing; // by pixel: 1 where it is gone
let fresh; // by pixel: 1 where it is gone and not mended yet
let mended = null; // bytes as `mend.inpaint` returns them
let last = null; // where the pen was
let turn = 0; // a number for each time that mending begins; an older one gives up
let working = false;

// ---------------------------------------------------------------- what is seen

const words = "A photo to draw on; what is drawn is taken away and mended";
const pair = kit.add(stage, "div", {class: "scratch-pair"});
const canvas = kit.add(pair, "canvas", {role: "img", "aria-label": words, class: "scratch-photo"});
const context = canvas.getContext("2d", {willReadFrequently: true});
const beside = kit.add(pair, "figure", {hidden: ""});
const damaged = kit.add(beside, "canvas", {role: "img", "aria-label": "The photo with what was taken away"});
kit.add(beside, "figcaption", {}, "what was taken away");
const output = kit.says(stage);
const drawing = kit.controls(stage);
const looking = kit.controls(stage);

// The photo in its frame, without a scratch.
function take(next) {
  photo = next;
  canvas.width = damaged.width = photo.w;
  canvas.height = damaged.height = photo.h;
  canvas.style.maxWidth = `${LONGEST * photo.w / Math.max(photo.w, photo.h)}px`;
  back.hidden = photo == astronaut;
  startAnew();
}

// Bytes of red, green and blue, with some pixels in magenta.
function picture(bytes, marked) {
  const image = context.createImageData(photo.w, photo.h);
  for (let p = 0; p < marked.length; p++) {
    const from = marked[p] ? MAGENTA : bytes.subarray(3 * p, 3 * p + 3);
    image.data.set(from, 4 * p);
    image.data[4 * p + 3] = 255;
  }
  return image;
}

const filled = () => mended ? mended[filler.value] : photo.bytes;

function draw() {
  const before = compare.getAttribute("aria-pressed") == "true";
  context.putImageData(before ? picture(photo.bytes, missing) : picture(filled(), fresh), 0, 0);
  compare.disabled = save.disabled = beside.hidden = !mended;
}

function lookBefore(before) {
  compare.setAttribute("aria-pressed", before);
  draw();
}

// ---------------------------------------------------------------- taking away

// Take away what is within half the pen's width of the line between two points.
function stroke([x0, y0], [x1, y1]) {
  const radius = pen.value / 2;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const inside = (from, to, side) => [Math.max(0, Math.floor(from - radius)), Math.min(side, to + radius)];
  const [top, bottom] = inside(Math.min(y0, y1), Math.max(y0, y1), photo.h);
  const [left, right] = inside(Math.min(x0, x1), Math.max(x0, x1), photo.w);
  for (let i = top; i < bottom; i++) {
    for (let j = left; j < right; j++) {
      const [x, y] = [j + .5 - x0, i + .5 - y0]; // from the start to the middle of a pixel
      const along = length ? kit.clip((x * dx + y * dy) / length, [0, 1]) : 0;
      if (Math.hypot(x - along * dx, y - along * dy) <= radius) takeAway(i * photo.w + j);
    }
  }
}

function takeAway(p) {
  missing[p] = 1;
  fresh[p] = 1;
}

// A curve from side to side through three heights, or from the top to the bottom.
function curve() {
  const [start, middle, end] = [uniform(), uniform(), uniform()];
  const upright = uniform() < .3;
  const points = Array.from({length: 25}, (_, n) => {
    const t = n / 24;
    const height = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t * t * end;
    return upright ? [height * photo.w, t * photo.h] : [t * photo.w, height * photo.h];
  });
  for (let n = 1; n < points.length; n++) stroke(points[n - 1], points[n]);
}

function writeText() {
  const page = new OffscreenCanvas(photo.w, photo.h).getContext("2d");
  const size = Math.min(photo.w / 7, photo.h / 5);
  page.font = `bold ${size}px sans-serif`;
  page.textAlign = "center";
  WORDS.forEach((line, n) => page.fillText(line, photo.w / 2, (n + 1) * photo.h / 4.4, .96 * photo.w));
  const {data: drawn} = page.getImageData(0, 0, photo.w, photo.h);
  for (let p = 0; p < missing.length; p++) if (drawn[4 * p + 3]) takeAway(p); // its soft rim too
}

function startAnew() {
  turn++;
  working = false;
  missing = new Uint8Array(photo.w * photo.h);
  fresh = missing.slice();
  mended = null;
  lookBefore(false);
  output.textContent = INVITATION;
}

// ---------------------------------------------------------------- mending

// Fill all that is missing, in slices, so that the page stays alive.
function startMending() {
  lookBefore(false);
  const n = missing.reduce((sum, x) => sum + x, 0);
  if (n == missing.length) {
    output.textContent = "Nothing of the photo is left: there is no pixel to start from. Start anew.";
    return;
  }
  const steps = mend.inpaint(photo.bytes, missing, photo.h, photo.w, layers);
  const [mine, began] = [++turn, performance.now()];
  const seconds = () => kit.fixed((performance.now() - began) / 1000, 1) + " s";
  working = true;
  function slice() {
    if (mine != turn) return;
    const end = performance.now() + SLICE;
    let step;
    do step = steps.next(); while (!step.done && performance.now() < end);
    if (step.done) {
      show(step.value, n, seconds());
    } else {
      output.textContent = `mending … ${seconds()}`;
      setTimeout(slice);
    }
  }
  slice();
}

function show(result, n, seconds) {
  working = false;
  mended = result;
  fresh.fill(0);
  damaged.getContext("2d").putImageData(picture(photo.bytes, missing), 0, 0);
  const took = `${n.toLocaleString("en")} pixels were missing, mended in ${seconds}.`;
  output.textContent = [took, ...judgement(n)].join(" ");
  draw();
}

// How well it went, in words, and where it cannot go well.
function judgement(n) {
  const said = [];
  if (photo.known) {
    const [alone, both] = [mended.alone, mended.mended].map(bytes => kit.decibels(errorOf(bytes, n)));
    said.push(`On them the sheet alone has ${alone}, with the network ${both}.`);
  }
  const left = missing.length - n;
  if (left == 1) said.push("Only 1 known pixel is left to go by.");
  else if (left < .02 * missing.length) said.push(`Only ${left} known pixels are left to go by.`);
  if (mend.depth(missing, photo.h, photo.w) > DEEP) {
    said.push("In the middle of a large hole no neighbour says what was there: that becomes a smear.");
  }
  return said;
}

// The mean squared error of the missing pixels, for colours from 0 to 1.
function errorOf(bytes, n) {
  let sum = 0;
  for (let k = 0; k < bytes.length; k++) {
    if (missing[Math.floor(k / 3)]) sum += ((bytes[k] - photo.bytes[k]) / 255) ** 2;
  }
  return sum / (3 * n);
}

// ---------------------------------------------------------------- files

// A photo of the reader's own, made smaller if need be. It stays in the page.
async function open(file) {
  let found;
  try {
    found = await kit.openPicture(file, LONGEST);
  } catch {
    output.textContent = `${file.name} is no picture that this browser can read.`;
    return;
  }
  const {height: h, width: w, bytes} = found;
  if (Math.min(w, h) < SHORTEST) {
    output.textContent = `${file.name} is too small or too narrow: ${w} by ${h} pixels of at most ${LONGEST}.`;
    return;
  }
  take({h, w, bytes, known: false});
}

// What is mended, as a file, whatever is looked at.
function saveFile() {
  const page = Object.assign(document.createElement("canvas"), {width: photo.w, height: photo.h});
  page.getContext("2d").putImageData(picture(filled(), new Uint8Array(missing.length)), 0, 0);
  kit.savePicture(page, "mended.png");
}

// ---------------------------------------------------------------- controls

const pen = kit.slider(drawing, "pen", {min: 2, max: 24, step: 1, value: 5, show: x => `${x} pixels`}, () => {});
function takes(name, take) {
  kit.button(drawing, name, () => {
    take();
    startMending();
  });
}
takes("Scratches", () => [1, 2, 3].forEach(curve));
takes("Text", writeText);
kit.button(drawing, "Start anew", startAnew);

const fillers = [["mended", "sheet and network"], ["alone", "the sheet alone"]];
const filler = kit.choice(looking, "fill with", fillers, () => lookBefore(false));
const compare = kit.button(looking, "Before / after", () => {
  lookBefore(compare.getAttribute("aria-pressed") != "true");
});
const save = kit.button(looking, "Save as PNG", saveFile);
const label = kit.add(looking, "label", {class: "scratch-file"}, "your own photo ");
const input = kit.add(label, "input", {type: "file", accept: "image/*"});
input.addEventListener("change", () => { if (input.files.length) open(input.files[0]); });
const back = kit.button(looking, "The astronaut again", () => {
  input.value = "";
  take(astronaut);
});

function where(event) {
  const box = canvas.getBoundingClientRect();
  return [
    (event.clientX - box.left) / box.width * photo.w,
    (event.clientY - box.top) / box.height * photo.h,
  ];
}
function move(event) {
  const next = where(event);
  stroke(last ?? next, next);
  last = next;
  draw();
}
canvas.addEventListener("pointerdown", event => {
  if (event.button || last) return; // one finger at a time
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  turn++;
  lookBefore(false);
  move(event);
});
canvas.addEventListener("pointermove", event => {
  if (last && canvas.hasPointerCapture(event.pointerId)) move(event);
});
canvas.addEventListener("lostpointercapture", () => {
  last = null;
  startMending();
});

take(astronaut);
return {
  layers,
  get photo() { return photo; },
  get missing() { return missing; },
  get mended() { return mended; },
  get working() { return working; },
};
});
