// Page 04: the same pixels cut into smaller or larger batches, and how far plain descent gets with each.
// needs: kit network
"use strict";
kit.experiment("batches", (stage, data) => {

const SIDE = 64;
const PIXELS = SIDE * SIDE;
const EPOCHS = 40;
const POWERS = Math.log2(PIXELS); // batch sizes are powers of two, up to all pixels
const RATES = [.01, .02, .05, .1, .2, .5, 1];
const FRAME = 30; // milliseconds of training for each picture that the screen shows

const colours = Float32Array.from(kit.bytes(data.astronaut), level => level / 255);
const places = network.places(SIDE, SIDE);

// ---------------------------------------------------------------- training

// The network of the page, as it starts: always the same numbers, of the size that Flax draws.
function untrained() {
  const net = network.create({seed: 1, waves: 0, width: 64, depth: 3});
  for (const layer of net.layers.slice(0, -1)) {
    layer.kernel.forEach((_, i) => { layer.kernel[i] /= Math.SQRT2; });
  }
  return net;
}

// All pixels in the random order of an epoch. It does not depend on the batch size: batches of another
// size are the same pixels in the same order, cut elsewhere.
function order(epoch) {
  const {uniform} = kit.random(1000 + epoch);
  const pixels = Int32Array.from({length: PIXELS}, (_, i) => i);
  for (let i = PIXELS - 1; i > 0; i--) {
    const j = Math.floor((i + 1) * uniform());
    [pixels[i], pixels[j]] = [pixels[j], pixels[i]];
  }
  return pixels;
}

// A training from the start. `path` has a row for each time that the painting was looked at:
// epochs, steps, loss over all pixels.
function begin(size, rate) {
  const training = {
    size,
    rate,
    net: untrained(),
    steps: 0,
    seen: 0,
    pixels: null,
    places: new Float32Array(2 * size),
    colours: new Float32Array(3 * size),
    path: [],
    painting: null,
  };
  look(training);
  return training;
}

// The rows of the next batch.
function nextBatch(training) {
  const first = training.seen % PIXELS;
  if (first == 0) training.pixels = order(training.seen / PIXELS);
  return training.pixels.subarray(first, first + training.size);
}

// One step of plain descent, on the next batch.
function takeStep(training) {
  const {net, size, rate} = training;
  nextBatch(training).forEach((pixel, i) => {
    training.places.set(places.subarray(2 * pixel, 2 * pixel + 2), 2 * i);
    training.colours.set(colours.subarray(3 * pixel, 3 * pixel + 3), 3 * i);
  });
  network.slopes(net, training.places, training.colours, size);
  for (const {value, slope} of net.parameters) {
    for (let i = 0; i < value.length; i++) value[i] -= rate * slope[i];
  }
  training.steps++;
  training.seen += size;
}

// Paint all pixels, and write down how far they are from the goal.
function look(training) {
  training.painting = network.paint(training.net, SIDE, SIDE);
  let loss = 0;
  training.painting.forEach((value, k) => { loss += (value - colours[k]) ** 2 / colours.length; });
  training.path.push([training.seen / PIXELS, training.steps, loss]);
}

// After each epoch, and after 1, 2, 4, 8 … steps of the first one.
function isTimeToLook({seen, steps}) {
  return seen % PIXELS == 0 || (seen < PIXELS && Number.isInteger(Math.log2(steps)));
}

function lossOf(training) {
  return training.path.at(-1)[2];
}
function hasFlownOff(training) {
  return !(lossOf(training) < 1);
}
function isOver(training) {
  return training.seen >= EPOCHS * PIXELS || hasFlownOff(training);
}

// Decibels of a painting, rounded to what a screen shows, as `psnr` of page 00 does.
function decibels({painting}) {
  let error = 0;
  painting.forEach((value, k) => {
    const level = Math.round(255 * kit.clip(value, [0, 1]));
    error += (level / 255 - colours[k]) ** 2 / colours.length;
  });
  return -10 * Math.log10(error);
}

// ---------------------------------------------------------------- what is shown

const ends = []; // where trainings have come to in all their epochs: [power of two, decibels, rate]
let previous = null;
let training = begin(64, .2);

const row = kit.controls(stage);
const sizes = {min: 0, max: POWERS, step: 1, value: 6, show: power => pixelWords(2 ** power)};
const size = kit.slider(row, "batch", sizes, restart);
const rates = {min: 0, max: RATES.length - 1, step: 1, value: RATES.indexOf(.2), show: i => String(RATES[i])};
const rate = kit.slider(row, "learning rate", rates, restart);
const actions = kit.controls(stage);
const looping = kit.loop(stage, frame);
kit.runButton(actions, looping, "Train");
const across = kit.choice(actions, "loss against", [["looks", "looks at every pixel"], ["steps", "steps"]], swap);
const output = kit.says(stage);

const top = kit.add(stage, "div", {class: "experiment-row"});
const paintings = kit.add(top, "div", {class: "batches-paintings"});
const [now, before] = ["this training", "the training before, or the goal"].map(words => {
  const figure = kit.add(paintings, "figure");
  const canvas = kit.canvas(figure, SIDE, SIDE, `The painting of ${words}`);
  return {...canvas, caption: kit.add(figure, "figcaption", {}, words)};
});
const plots = kit.add(top, "div");
const LOSSES = [0, .12];
const MOST_STEPS = Math.log2(EPOCHS * PIXELS); // as a power of two
const byLooks = kit.plot(plots, {
  x: [0, EPOCHS],
  y: LOSSES,
  height: 230,
  xlabel: "looks at every pixel",
  words: "The loss against how often every pixel was looked at",
}, plot => drawLosses(plot, EPOCHS, ([epochs]) => epochs));
const bySteps = kit.plot(plots, {
  x: [0, MOST_STEPS],
  y: LOSSES,
  height: 230,
  xlabel: "steps",
  words: "The loss against the number of steps",
  xwords: power => grouped(2 ** power),
}, plot => drawLosses(plot, MOST_STEPS, ([, steps]) => Math.log2(steps)));
const results = kit.plot(stage, {
  x: [-.5, POWERS + .5],
  y: [9, 20],
  height: 200,
  xlabel: "pixels in a batch",
  ylabel: `dB after ${EPOCHS} epochs`,
  words: "How far each finished training has come, by its batch size",
  xwords: power => grouped(2 ** power),
}, drawEnds);

function grouped(n) {
  return n.toLocaleString("en");
}
function pixelWords(n) {
  if (n == 1) return "1 pixel";
  return n == PIXELS ? `all ${grouped(n)} pixels` : `${grouped(n)} pixels`;
}

function drawLosses(plot, right, where) {
  const line = (training, kind) => {
    plot.line(training.path.map(row => [where(row), Math.min(row[2], LOSSES[1])]), kind);
  };
  if (previous) line(previous, "faint");
  line(training, "model");
  plot.text(right, .112, "loss; dotted: of the training before", "data", "end");
}

function drawEnds(plot) {
  const words = ends.length ? "orange: at the rate above" : "a dot for each training that has finished";
  plot.text(POWERS + .5, 19, words, "data", "end");
  for (const [power, score, itsRate] of ends) {
    plot.dot(power, kit.clip(score, [9, 20]), itsRate == RATES[rate.value] ? "model" : "data", 4);
  }
}

function swap() {
  byLooks.svg.style.display = across.value == "looks" ? "" : "none";
  bySteps.svg.style.display = across.value == "steps" ? "" : "none";
}

function summary(training) {
  if (hasFlownOff(training)) return "it has flown off: the rate is too large";
  const [epochs, steps, loss] = training.path.at(-1);
  const looks = epochs == Math.round(epochs) ? epochs : kit.fixed(epochs, 3);
  return `${looks} of ${EPOCHS} looks at every pixel, ${grouped(steps)} steps: loss ${kit.fixed(loss, 3)}, `
    + `${kit.fixed(decibels(training), 1)} dB`;
}

function draw() {
  now.show(training.painting);
  output.textContent = summary(training);
  now.caption.textContent = `${pixelWords(training.size)} a step`;
  before.show(previous ? previous.painting : colours);
  before.caption.textContent = previous
    ? `before: ${pixelWords(previous.size)}, ${kit.fixed(decibels(previous), 1)} dB`
    : "the goal";
  byLooks.redraw();
  bySteps.redraw();
  results.redraw();
}

// ---------------------------------------------------------------- a training after the other

function beginAgain() {
  if (training.steps) previous = training;
  training = begin(2 ** size.value, RATES[rate.value]);
}

function restart() {
  looping.stop();
  beginAgain();
  draw();
}

function frame() {
  if (isOver(training)) beginAgain();
  const end = performance.now() + FRAME;
  while (!isOver(training) && performance.now() < end) {
    takeStep(training);
    if (isTimeToLook(training)) look(training);
  }
  if (isOver(training) && !hasFlownOff(training)) {
    ends.push([Math.log2(training.size), decibels(training), training.rate]);
  }
  draw();
  return !isOver(training);
}

swap();
draw();
return {begin, nextBatch, takeStep, look, order, decibels, ends, get training() { return training; }};
});
