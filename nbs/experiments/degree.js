// Page 03: polynomials of every degree by least squares, and what one moved observation does to them.
// needs: kit
"use strict";
kit.experiment("degree", (stage, data) => {

const HIGHEST = 15; // with sixteen coefficients it goes through the sixteen observations
const NOISE = .5;
const TALL = 270; // the pictures, so that both and the slider fit on a phone
const LOSS = .8; // the largest one in the picture

const x = data.x;
const testX = data.test_x;
const grid = Array.from({length: 301}, (_, i) => -3 + i / 50);

// ---------------------------------------------------------------- least squares

// Polynomials p₀, p₁, … that are orthogonal on the training places, by Stieltjes' recurrence
// pₖ₊₁(u) = (u − shift) pₖ(u) − scale pₖ₋₁(u). In this basis the next degree adds a term and leaves
// the others as they are, and sixteen terms lose no precision, as sixteen powers would.
function orthogonal(places) {
  const found = [];
  let before = places.map(() => 0);
  let now = places.map(() => 1);
  let normBefore = Infinity;
  for (let k = 0; k <= HIGHEST; k++) {
    const norm = dot(now, now);
    const shift = dot(now, now.map((p, i) => p * places[i])) / norm;
    const scale = norm / normBefore;
    found.push({norm, shift, scale});
    const next = now.map((p, i) => (places[i] - shift) * p - scale * before[i]);
    [before, now, normBefore] = [now, next, norm];
  }
  return found;
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

const recurrence = orthogonal(x);

// p₀(u), p₁(u), … at one place.
function terms(u) {
  const values = [];
  let before = 0;
  let now = 1;
  for (const {shift, scale} of recurrence) {
    values.push(now);
    [before, now] = [now, (u - shift) * now - scale * before];
  }
  return values;
}

const [trainTerms, testTerms, gridTerms] = [x, testX, grid].map(places => places.map(terms));

// The coefficients of all terms. Taking each term away before the next keeps rounding errors small.
function fit(y) {
  let left = y;
  return recurrence.map(({norm}, k) => {
    const column = trainTerms.map(row => row[k]);
    const coefficient = dot(left, column) / norm;
    left = left.map((value, i) => value - coefficient * column[i]);
    return coefficient;
  });
}

// The polynomial of a degree at places whose `terms` are the rows of a table.
function predict(coefficients, degree, table) {
  const used = coefficients.slice(0, degree + 1);
  return table.map(row => dot(used, row));
}

function mse(predictions, targets) {
  return predictions.reduce((sum, p, i) => sum + (p - targets[i]) ** 2, 0) / targets.length;
}

function losses(coefficients) {
  const degrees = Array.from({length: HIGHEST + 1}, (_, degree) => degree);
  return {
    training: degrees.map(degree => mse(predict(coefficients, degree, trainTerms), y)),
    test: degrees.map(degree => mse(predict(coefficients, degree, testTerms), testY)),
  };
}

// ---------------------------------------------------------------- observations

let draws = 0;
let [drawn, testY] = [data.y, data.test_y]; // the first draw is that of the page
let y = [...drawn]; // with the moved ones where they are now
let moved; // the number of the one moved last
let coefficients = fit(y);
let loss = losses(coefficients);

function drawAgain() {
  draws++;
  const {uniform} = kit.random(draws);
  const observe = u => Math.sin(u) + NOISE * (2 * uniform() - 1);
  drawn = x.map(observe);
  testY = testX.map(observe);
  putBack();
}

function putBack() {
  y = [...drawn];
  moved = undefined;
  draw();
}

function move(i, v) {
  if (y[i] == v) return; // an arrow to the side
  y[i] = v;
  moved = i;
  draw();
}

// ---------------------------------------------------------------- what is on the page

const places = kit.add(stage, "div", {class: "experiment-row"});
const row = kit.controls(stage);
const degree = kit.slider(row, "degree", {min: 0, max: HIGHEST, step: 1, value: HIGHEST}, draw);
kit.button(row, "New draw", drawAgain);
kit.button(row, "Put the points back", putBack);
const output = kit.says(stage);
const effect = kit.says(stage);

const curveAxes = {
  x: [-3.15, 3.15],
  y: [-2.5, 2.5],
  height: TALL,
  xlabel: "x",
  ylabel: "y",
  words: "Observations to train on, others to test on, and a polynomial",
};
const curves = kit.plot(places, curveAxes, plot => {
  plot.curve(grid.map(u => [u, Math.sin(u)]), "sine");
  testX.forEach((u, i) => plot.dot(u, testY[i], "other", 2.5));
  if (moved !== undefined) plot.curve(joined(fit(drawn)), "before");
  plot.curve(joined(coefficients), "model");
  x.forEach((u, i) => plot.dot(u, y[i], "model", 3));
});
const lossAxes = {
  x: [-.5, HIGHEST + .5],
  y: [0, LOSS],
  height: TALL,
  xlabel: "degree",
  ylabel: "loss",
  words: "Training loss and test loss of every degree",
};
const byDegree = kit.plot(places, lossAxes, plot => {
  const at = degree.value;
  plot.line([[at, 0], [at, LOSS]], "data");
  for (const [name, kind] of [["training", "model"], ["test", "other"]]) {
    const points = loss[name].map((value, d) => [d, value]);
    plot.curve(points, kind);
    for (const [d, value] of points) if (value <= LOSS) plot.dot(d, value, kind, d == at ? 6 : 2.5);
  }
  plot.text(4, .62, "training loss", "model");
  plot.text(4, .54, "test loss", "other");
  if (loss.test[at] <= LOSS) return;
  const [side, anchor] = at > HIGHEST / 2 ? [-.3, "end"] : [.3, "start"];
  plot.text(at + side, LOSS - .05, `${lossWords(loss.test[at])} ↑`, "other", anchor);
});

function joined(coefficients) {
  return predict(coefficients, degree.value, gridTerms).map((v, i) => [grid[i], v]);
}

// What the curve did because the observation `i` was moved: there, and where it did most.
function followed(i) {
  const before = fit(y.map((v, k) => k == i ? drawn[i] : v));
  const change = coefficients.map((c, k) => c - before[k]);
  return {
    point: y[i] - drawn[i],
    there: predict(change, degree.value, [trainTerms[i]])[0],
    most: Math.max(...predict(change, degree.value, gridTerms).map(Math.abs)),
  };
}

function lossWords(value) {
  return kit.fixed(value, value < 10 ? 3 : 0);
}

function effectWords() {
  if (moved === undefined) return "Drag one of the orange circles up or down.";
  const {point, there, most} = followed(moved);
  return `One observation went ${kit.fixed(point, 2)}: the curve went ${kit.fixed(there, 2)} with it, ` +
    `and anywhere at most ${kit.fixed(most, 2)}.`;
}

function draw() {
  coefficients = fit(y);
  loss = losses(coefficients);
  const at = degree.value;
  const [training, test] = [loss.training[at], loss.test[at]].map(lossWords);
  output.textContent = `Degree ${at}: training loss ${training}, test loss ${test}.`;
  effect.textContent = effectWords();
  curves.redraw();
  byDegree.redraw();
}

// One of the observations is in the order of Tab; from it the arrows go to its neighbours.
const circles = x.map((u, i) => {
  const words = `training observation ${i + 1} of ${x.length}`;
  const circle = curves.handle(() => [u, y[i]], (_, v) => move(i, v), words, [0, .1]);
  circle.setAttribute("tabindex", i ? -1 : 0);
  circle.addEventListener("keydown", event => {
    const way = {ArrowLeft: -1, ArrowRight: 1}[event.key] ?? 0;
    focusOn(kit.clip(i + way, [0, x.length - 1]));
  });
  return circle;
});

function focusOn(i) {
  circles.forEach((circle, k) => circle.setAttribute("tabindex", k == i ? 0 : -1));
  circles[i].focus();
}

byDegree.onDrag(d => {
  degree.value = Math.round(kit.clip(d, [0, HIGHEST]));
  draw();
});
draw();
return {
  fit, predict, terms, followed, move, putBack,
  curve: (y, degree, places) => predict(fit(y), degree, places.map(terms)),
  get degree() { return degree.value; },
  get y() { return y; },
  get testY() { return testY; },
  get loss() { return loss; },
};
});
