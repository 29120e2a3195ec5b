// Page 05: a linear layer behind random waves, on a sine and on a photograph, and how fine the waves are.
// needs: kit
"use strict";
kit.experiment("waves", (stage, data) => {

const SIGMAS = [.01, .02, .05, .1, .2, .5, 1, 2, 4, 8, 16]; // periods per unit of the input
const SIDE = 64;

// ---------------------------------------------------------------- the two data sets

// 20 of 1000 observations of a sine are seen, and trained on as on the page: 500 steps on all of them.
const sine = {
  inputs: 1,
  outputs: 1,
  places: Float64Array.from(data.sine.y, (_, i, ys = data.sine.y) => -3 + 6 * i / (ys.length - 1)),
  targets: Float64Array.from(data.sine.y),
  isSeen: data.sine.y.map((_, i) => data.sine.seen.includes(i)),
  draws: data.sine.draws,
  nSteps: 500,
  rate: .02,
};

// Of the photograph a quarter of the pixels is seen. A step looks at all of these, in the page at 512.
const bits = kit.bytes(data.astronaut.seen);
const astronaut = {
  inputs: 2,
  outputs: 3,
  places: Float64Array.from({length: 2 * SIDE * SIDE}, (_, k) => {
    const pixel = k >> 1;
    const line = k % 2 ? pixel % SIDE : Math.floor(pixel / SIDE);
    return (2 * line + 1) / SIDE - 1;
  }),
  targets: Float64Array.from(kit.bytes(data.astronaut.image), level => level / 255),
  isSeen: Array.from({length: SIDE * SIDE}, (_, pixel) => bits[pixel >> 3] >> (7 - pixel % 8) & 1),
  draws: data.astronaut.draws,
  nSteps: 320,
  rate: .003,
};

// ---------------------------------------------------------------- a linear layer behind waves

// The sine of so many periods, to within 3e-7: the polynomial of `sine` on the page, faster than Math.sin.
function sineOf(periods) {
  const halves = Math.floor(2 * periods + .5);
  const rest = Math.PI * (2 * periods - halves);
  const s = rest * rest;
  const series = s * (-1.66666571e-1 + s * (8.33301752e-3 + s * (-1.98066311e-4 + s * 2.60008845e-6)));
  return (halves & 1 ? -rest : rest) * (1 + series);
}

// A row for each place: the sines of the first `n` waves there, their cosines, and 1.
function columns({inputs, places}, frequencies, sigma, n) {
  const size = 2 * n + 1;
  const nWaves = frequencies.length / inputs;
  const scaled = Float64Array.from(frequencies, frequency => sigma * frequency);
  const nRows = places.length / inputs;
  const table = new Float64Array(nRows * size).fill(1);
  for (let row = 0; row < nRows; row++) {
    for (let k = 0; k < n; k++) {
      let periods = 0;
      for (let d = 0; d < inputs; d++) periods += places[row * inputs + d] * scaled[d * nWaves + k];
      table[row * size + k] = sineOf(periods);
      table[row * size + n + k] = sineOf(periods + .25);
    }
  }
  return table;
}

// All that descent asks of the seen rows: the mean products of their columns with each other,
// and with the targets. No step has to look at the rows again. (The matrix has three empty rows for `multiply`.)
function products({outputs, targets, isSeen}, table, size) {
  const hessian = new Float64Array((size + 3) * size);
  const pull = new Float64Array(outputs * size);
  let nSeen = 0;
  isSeen.forEach((isOne, row) => {
    if (!isOne) return;
    nSeen++;
    const values = table.subarray(row * size, (row + 1) * size);
    for (let i = 0; i < size; i++) {
      const value = values[i];
      for (let j = 0; j <= i; j++) hessian[i * size + j] += value * values[j];
      for (let c = 0; c < outputs; c++) pull[c * size + i] += value * targets[row * outputs + c];
    }
  });
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) hessian[j * size + i] = hessian[i * size + j] /= nSeen;
  }
  return {hessian, pull: pull.map(sum => sum / nSeen)};
}

// The weights with which the layer of `n` waves begins, smaller for more waves, and biases of 0.
function start({outputs}, weights, n) {
  const nWaves = weights.length / outputs / 2;
  const size = 2 * n + 1;
  const found = new Float64Array(outputs * size);
  for (let c = 0; c < outputs; c++) {
    for (let k = 0; k < n; k++) {
      found[c * size + k] = Math.sqrt(nWaves / n) * weights[k * outputs + c];
      found[c * size + n + k] = Math.sqrt(nWaves / n) * weights[(nWaves + k) * outputs + c];
    }
  }
  return found;
}

// A matrix times a vector. Four sums grow at a time, three times as fast as one.
function multiply(matrix, vector, out) {
  const size = vector.length;
  for (let i = 0; i < size; i += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let j = 0, k = i * size; j < size; j++, k++) {
      const value = vector[j];
      a += matrix[k] * value;
      b += matrix[k + size] * value;
      c += matrix[k + 2 * size] * value;
      d += matrix[k + 3 * size] * value;
    }
    out[i] = a;
    out[i + 1] = b;
    out[i + 2] = c;
    out[i + 3] = d;
  }
}

// Steps of Adam, each on the mean squared error of all that is seen. Changes the weights.
function descend({outputs, nSteps, rate}, {hessian, pull}, weights) {
  const size = pull.length / outputs;
  const found = new Float64Array(size + 3);
  const mean = new Float64Array(weights.length);
  const square = new Float64Array(weights.length);
  for (let step = 1; step <= nSteps; step++) {
    const ofMean = 1 / (1 - .9 ** step);
    const ofSquare = 1 / (1 - .999 ** step);
    for (let first = 0; first < weights.length; first += size) {
      multiply(hessian, weights.subarray(first, first + size), found);
      for (let i = 0, at = first; i < size; i++, at++) {
        const slope = 2 * (found[i] - pull[at]) / outputs;
        mean[at] = .9 * mean[at] + .1 * slope;
        square[at] = .999 * square[at] + .001 * slope ** 2;
        weights[at] -= rate * ofMean * mean[at] / (Math.sqrt(ofSquare * square[at]) + 1e-8);
      }
    }
  }
}

// What a layer behind `n` waves predicts at all places, after training; `draw` says which waves.
function learned(set, sigma, n, draw = 0) {
  const {frequencies, weights} = set.draws[draw];
  const size = 2 * n + 1;
  const table = columns(set, frequencies, sigma, n);
  const trained = start(set, weights, n);
  descend(set, products(set, table, size), trained);
  const predictions = new Float64Array(set.targets.length);
  for (let row = 0, k = 0; k < predictions.length; row++) {
    for (let c = 0; c < set.outputs; c++, k++) {
      for (let i = 0; i < size; i++) predictions[k] += table[row * size + i] * trained[c * size + i];
    }
  }
  return predictions;
}

// The mean squared error where the layer has looked, and where it has not.
function errors({targets, isSeen, outputs}, predictions) {
  const sums = [0, 0];
  const counts = [0, 0];
  predictions.forEach((value, k) => {
    const which = isSeen[Math.floor(k / outputs)] ? 0 : 1;
    sums[which] += (value - targets[k]) ** 2;
    counts[which]++;
  });
  return sums.map((sum, which) => sum / counts[which]);
}

// Decibels of the pixels that were seen, and of the others, rounded as a screen shows them.
function decibels(painting) {
  const shown = painting.map(value => Math.round(255 * kit.clip(value, [0, 1])) / 255);
  return errors(astronaut, shown).map(error => -10 * Math.log10(error));
}

// ---------------------------------------------------------------- what is shown

let lines = []; // the two curves
const top = kit.controls(stage);
const choices = {
  min: 0,
  max: SIGMAS.length - 1,
  step: 1,
  value: SIGMAS.indexOf(.5),
  show: i => String(SIGMAS[i]),
};
const sigma = kit.slider(top, "sigma", choices, draw);
const halves = kit.add(stage, "div", {class: "experiment-row"});

const left = kit.add(halves, "div");
const curves = kit.plot(left, {
  x: [-3, 3],
  y: [-2, 2],
  height: 240,
  xlabel: "x",
  words: "A sine, twenty observations of it, and two curves that were trained on them",
}, drawCurves);
const sineWaves = wavesSlider(left, 5, drawSine);
const sineSays = kit.says(left);
const keepSine = trace(left, [0, 2], "squared error", sineWaves);

const right = kit.add(halves, "div");
const pair = kit.add(right, "div", {class: "waves-pictures"});
const painting = picture("what is painted");
const given = picture("the pixels seen");
const pictureWaves = wavesSlider(right, 7, drawPicture);
const pictureSays = kit.says(right);
const keepPicture = trace(right, [8, 22], "decibels", pictureWaves);

// How many waves, as a power of two: at first as many as on the page.
function wavesSlider(place, most, changed) {
  const powers = {min: 1, max: most, step: 1, value: most, show: power => String(2 ** power)};
  return kit.slider(kit.controls(place), "waves", powers, changed);
}

function picture(words) {
  const figure = kit.add(pair, "figure");
  const canvas = kit.canvas(figure, SIDE, SIDE, `The astronaut, ${words}`);
  kit.add(figure, "figcaption", {}, words);
  return canvas;
}

// Axes with two dots for each sigma that was tried: seen, and held out. Returns a function that adds them.
function trace(place, y, ylabel, waves) {
  const found = {}; // by the number of waves, then by sigma: [seen, held out]
  const withTheseWaves = () => found[waves.value] ??= {};
  const plot = kit.plot(place, {
    x: [-.5, SIGMAS.length - .5],
    y,
    height: 170,
    xlabel: "sigma",
    words: `The ${ylabel}, seen and held out, for each sigma that was tried`,
    xwords: i => String(SIGMAS[i]),
  }, plot => {
    const tried = Object.entries(withTheseWaves());
    ["data", "model"].forEach((kind, which) => {
      const points = tried.map(([i, two]) => [Number(i), kit.clip(two[which], y)]);
      plot.line(points, kind);
      for (const [i, value] of points) plot.dot(i, value, kind, i == sigma.value ? 5 : 3);
      for (const [i, two] of tried) {
        if (two[which] > y[1]) plot.text(Number(i), y[1], `${kit.fixed(two[which], 1)} ↑`, kind, "middle");
      }
    });
    const high = y[1] - .05 * (y[1] - y[0]);
    plot.text(-.3, high, ylabel, "truth");
    plot.text(SIGMAS.length - 2.8, high, "seen", "data", "end");
    plot.text(SIGMAS.length - .5, high, "held out", "model", "end");
  });
  return two => {
    withTheseWaves()[sigma.value] = two;
    plot.redraw();
  };
}

// The parts of a curve that are inside the axes.
function inside(line) {
  const parts = [[]];
  line.forEach((value, i) => {
    if (Math.abs(value) <= 2) parts.at(-1).push([sine.places[i], value]);
    else if (parts.at(-1).length) parts.push([]);
  });
  return parts;
}

function drawCurves(plot) {
  plot.line(Array.from(sine.places, x => [x, Math.sin(x)]), "truth");
  lines.forEach((line, draw) => {
    for (const part of inside(line)) plot.line(part, draw ? "faint" : "model");
  });
  sine.isSeen.forEach((isOne, i) => {
    if (isOne) plot.dot(sine.places[i], sine.targets[i]);
  });
}

function drawSine() {
  lines = [0, 1].map(draw => learned(sine, SIGMAS[sigma.value], 2 ** sineWaves.value, draw));
  const two = errors(sine, lines[0]);
  sineSays.textContent = `squared error: seen ${kit.fixed(two[0], 3)}, held out ${kit.fixed(two[1], 3)}`;
  curves.redraw();
  keepSine(two);
}

function drawPicture() {
  const painted = learned(astronaut, SIGMAS[sigma.value], 2 ** pictureWaves.value);
  const two = decibels(painted);
  pictureSays.textContent = `seen ${kit.fixed(two[0], 1)} dB, held out ${kit.fixed(two[1], 1)} dB`;
  painting.show(painted);
  keepPicture(two);
}

function draw() {
  drawSine();
  drawPicture();
}

given.show(astronaut.targets.map((value, k) => astronaut.isSeen[Math.floor(k / 3)] ? value : .6));
draw();
return {sine, astronaut, SIGMAS, columns, learned, errors, decibels};
});
