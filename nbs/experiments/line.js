// Page 02: a line to move by hand, its place on a map of the cost, and descent from where it is.
// needs: kit
"use strict";
kit.experiment("line", (stage, data) => {

const N_STEPS = 500; // as many as on the page
const TURNS_AT = 2; // the x of the handle that turns the line
const RANGE = {slope: [-.6, .9], intercept: [-.8, .8]}; // of the map
const STICKS = {from: 10, every: 25}; // the observations whose errors are drawn, as on the page
const HEIGHT = 270; // of the pictures, so that both and the button fit on a phone
const SHOWN = 4; // every fourth observation is drawn, for speed; every cost is that of all

const {x, y} = data;
const ends = [x[0], x.at(-1)];

// How much an error counts, and how that changes with the error.
const losses = {
  mae: {of: Math.abs, slope: Math.sign},
  mse: {of: error => error ** 2, slope: error => 2 * error},
};

// ---------------------------------------------------------------- lines are [slope, intercept]

function cost(loss, [slope, intercept]) {
  const {of} = losses[loss];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += of(slope * x[i] + intercept - y[i]);
  return sum / x.length;
}

function costOfSine(loss) {
  const {of} = losses[loss];
  return x.reduce((sum, u, i) => sum + of(Math.sin(u) - y[i]), 0) / x.length;
}

function gradient(loss, [slope, intercept]) {
  const sums = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const pull = losses[loss].slope(slope * x[i] + intercept - y[i]);
    sums[0] += pull * x[i];
    sums[1] += pull;
  }
  return sums.map(sum => sum / x.length);
}

function step(loss, line, rate) {
  const [bySlope, byIntercept] = gradient(loss, line);
  return [line[0] - rate * bySlope, line[1] - rate * byIntercept];
}

function onMap([slope, intercept]) {
  return slope == kit.clip(slope, RANGE.slope) && intercept == kit.clip(intercept, RANGE.intercept);
}

// ---------------------------------------------------------------- the map

// The lines that cost `level`. The cost rises all the way from the best line outwards, in every
// direction, so that halving an interval finds where it reaches the level.
function contour(loss, level) {
  const [slope, intercept] = data.best[loss];
  const points = [];
  for (let k = 0; k <= 60; k++) {
    const angle = k / 60 * 2 * Math.PI;
    const at = radius => [slope + radius * Math.cos(angle), intercept + radius * Math.sin(angle)];
    let [near, far] = [0, 3];
    for (let halving = 0; halving < 12; halving++) {
      const middle = (near + far) / 2;
      if (cost(loss, at(middle)) < level) near = middle;
      else far = middle;
    }
    points.push(at(near));
  }
  return points;
}

function contours(loss) {
  const least = cost(loss, data.best[loss]);
  const most = cost(loss, [RANGE.slope[0], RANGE.intercept[0]]);
  return [1, 2, 3, 4, 5, 6, 7].map(n => contour(loss, least + (most - least) * (n / 8) ** 2));
}

// ---------------------------------------------------------------- what is on the page

let line = data.start;
let path = []; // of the descent, from where the line was
let byHand = {mae: Infinity, mse: Infinity}; // the lowest costs that a hand has reached
const maps = {}; // contours by loss, once they are asked for

const places = kit.add(stage, "div", {class: "experiment-row"});
const row = kit.controls(stage);
const measure = kit.choice(row, "cost", [["mae", "mae"], ["mse", "mse"]], () => putAt(line));
const powers = {min: -3, max: 0, step: .05, value: -2, show: power => (10 ** power).toPrecision(2)};
const rate = kit.slider(row, "learning rate", powers, () => {});
const looping = kit.loop(stage, descend);
kit.runButton(row, looping, "Let it descend");
kit.button(row, "Reset", reset);
const now = kit.says(stage);
const race = kit.says(stage);

const cloudAxes = {
  x: [-3.15, 3.15],
  y: [-2.6, 2.6],
  height: HEIGHT,
  xlabel: "x",
  ylabel: "y",
  words: "Observations of a sine, a line through them, and its errors as sticks",
};
const cloud = kit.plot(places, cloudAxes, plot => {
  for (let i = 0; i < x.length; i += SHOWN) plot.dot(x[i], y[i], "data", 1.4);
  for (const passed of path.slice(0, 100).filter((_, t) => t % 10 == 0)) drawLine(plot, passed, "faint");
  for (let i = STICKS.from; i < x.length; i += STICKS.every) {
    plot.line([[x[i], y[i]], [x[i], line[0] * x[i] + line[1]]], "stick");
    plot.dot(x[i], y[i], "other", 2.5);
  }
  drawLine(plot, line, "model");
});
const mapAxes = {
  x: RANGE.slope,
  y: RANGE.intercept,
  height: HEIGHT,
  xlabel: "slope",
  ylabel: "intercept",
  words: "A map of the cost of every line, and the way that the descent takes on it",
};
const map = kit.plot(places, mapAxes, plot => {
  const loss = measure.value;
  maps[loss] ??= contours(loss);
  for (const level of maps[loss]) plot.curve(level, "contour");
  plot.curve(path, "model");
  for (const passed of path.slice(0, 60).filter(onMap)) plot.dot(...passed, "model", 2);
  if (path.length) plot.dot(...data.best[loss], "truth", 4);
});

function drawLine(plot, [slope, intercept], kind) {
  plot.curve(ends.map(u => [u, slope * u + intercept]), kind);
}

// ---------------------------------------------------------------- what happens

function moveTo([slope, intercept]) {
  line = [kit.clip(slope, RANGE.slope), kit.clip(intercept, RANGE.intercept)];
  for (const loss in losses) byHand[loss] = Math.min(byHand[loss], cost(loss, line));
  putAt(line);
}

// A descent ends when anything else is done with the line.
function putAt(place) {
  looping.stop();
  line = place;
  path = [];
  draw();
}

function reset() {
  byHand = {mae: Infinity, mse: Infinity};
  putAt(data.start);
}

// One step for a picture, so that the first ones can be seen, and then four.
function descend() {
  if (!path.length || arrived()) path = [line];
  const steps = path.length < 60 ? 1 : 4;
  for (let n = 0; n < steps && !arrived(); n++) {
    path.push(step(measure.value, path.at(-1), 10 ** rate.value));
    if (onMap(path.at(-1))) line = path.at(-1);
  }
  draw();
  return !arrived();
}

function arrived() {
  return path.length > N_STEPS || !onMap(path.at(-1));
}

function descended(loss) {
  if (!path.length) return "–";
  const steps = path.length - 1;
  if (!onMap(path.at(-1))) return `off the map at step ${steps}`;
  return `${kit.fixed(cost(loss, path.at(-1)), 4)} (step ${steps})`;
}

function draw() {
  const loss = measure.value;
  const [slope, intercept] = line.map(number => kit.fixed(number, 3));
  const [mae, mse] = ["mae", "mse"].map(loss => kit.fixed(cost(loss, line), 4));
  now.textContent = `slope ${slope}, intercept ${intercept}: mae ${mae}, mse ${mse}`;
  const hand = byHand[loss] < Infinity ? kit.fixed(byHand[loss], 4) : "–";
  const best = kit.fixed(cost(loss, data.best[loss]), 4);
  race.textContent = `${loss} by hand ${hand}, by descent ${descended(loss)}, ` +
    `best line ${best}, the sine itself ${kit.fixed(costOfSine(loss), 4)}`;
  cloud.redraw();
  map.redraw();
}

cloud.handle(() => [0, line[1]], (_, v) => moveTo([line[0], v]), "intercept: shifts the line", [0, .02]);
const end = () => [TURNS_AT, line[0] * TURNS_AT + line[1]];
cloud.handle(end, (_, v) => moveTo([(v - line[1]) / TURNS_AT, line[1]]), "slope: turns the line", [0, .04]);
map.handle(() => line, (u, v) => moveTo([u, v]), "slope and intercept of the line", [.02, .02]);
draw();
return {
  cost, costOfSine, gradient, step, contour, moveTo,
  get line() { return line; },
  get path() { return path; },
  get byHand() { return byHand; },
};
});
