// Page 06: one neuron of one input, by its weight, its bias and its bend, and the sum of up to ten of them.
// needs: kit
"use strict";
kit.experiment("neurons", (stage, data) => {

const RATE = .02; // the page's
const STEPS_A_FRAME = 20;
const N_STEPS = 3000; // that training takes
const TRAINED = Array.from({length: 121}, (_, i) => -3 + i / 20); // the inputs that it sees
const SEEN = Array.from({length: 721}, (_, i) => -9 + i / 40); // those that the curves show
const HEIGHTS = [-3, 3];

// The bends of the page, and their slopes.
const sigmoid = x => 1 / (1 + Math.exp(-x));
const inside = x => Math.sqrt(2 / Math.PI) * (x + .044715 * x ** 3); // of the usual formula for gelu
const insideSlope = x => Math.sqrt(2 / Math.PI) * (1 + .134145 * x ** 2);
const bends = {
  tanh: [Math.tanh, x => 1 - Math.tanh(x) ** 2],
  sigmoid: [sigmoid, x => sigmoid(x) * (1 - sigmoid(x))],
  relu: [x => Math.max(0, x), x => Number(x > 0)],
  gelu: [
    x => x / 2 * (1 + Math.tanh(inside(x))),
    x => (1 + Math.tanh(inside(x))) / 2 + x / 2 * (1 - Math.tanh(inside(x)) ** 2) * insideSlope(x),
  ],
  leaky_relu: [x => x < 0 ? x / 100 : x, x => x < 0 ? .01 : 1],
  sin: [Math.sin, Math.cos],
  none: [x => x, () => 1],
};

let neurons = [];
let step = 0;
const isOn = neuron => neuron.on;

function share({weight, bias}, x) {
  return bends[bend.value][0](weight * x + bias);
}
function sum(x) {
  return neurons.filter(isOn).reduce((total, neuron) => total + share(neuron, x), 0);
}
function distance() { // of the sum from the sine, on average
  return TRAINED.reduce((total, x) => total + Math.abs(sum(x) - Math.sin(x)), 0) / TRAINED.length;
}

// How that distance changes with the weight and with the bias of each neuron.
function slopes() {
  const bendSlope = bends[bend.value][1];
  const signs = TRAINED.map(x => Math.sign(sum(x) - Math.sin(x)) / TRAINED.length);
  return neurons.map(({weight, bias}) => {
    const pulls = TRAINED.map((x, i) => signs[i] * bendSlope(weight * x + bias));
    return {
      weight: pulls.reduce((total, pull, i) => total + pull * TRAINED[i], 0),
      bias: pulls.reduce((total, pull) => total + pull, 0),
    };
  });
}

// One step of gradient descent by the neurons that are in the sum.
function descend() {
  slopes().forEach((slope, j) => {
    if (!neurons[j].on) return;
    neurons[j].weight -= RATE * slope.weight;
    neurons[j].bias -= RATE * slope.bias;
  });
  step++;
}

// The parts of a curve that lie within the axes.
function drawCurve(plot, curve, kind) {
  let part = [];
  for (const x of SEEN) {
    const y = curve(x);
    if (y >= HEIGHTS[0] && y <= HEIGHTS[1]) {
      part.push([x, y]);
      continue;
    }
    plot.line(part, kind);
    part = [];
  }
  plot.line(part, kind);
}

const axes = {
  x: [-9, 9],
  y: HEIGHTS,
  xlabel: "x",
  ylabel: "y",
  words: "A sine, the curve of each neuron in the sum, and their sum",
};
const plot = kit.plot(stage, axes, plot => {
  if (!neurons.length) return;
  for (const x of [-3, 3]) plot.line(HEIGHTS.map(y => [x, y]), "edge");
  drawCurve(plot, Math.sin, "sine");
  for (const neuron of neurons.filter(isOn)) drawCurve(plot, x => share(neuron, x), "share");
  drawCurve(plot, x => share(neurons[chosen.value], x), "other");
  drawCurve(plot, sum, "model");
});

const members = kit.controls(stage);
kit.add(members, "span", {}, "in the sum");
const buttons = data.weights.map((_, j) => kit.button(members, String(j + 1), () => toggle(j)));
buttons.forEach((button, j) => button.setAttribute("aria-label", `neuron ${j + 1} in the sum`));
kit.button(members, "All", () => keep(() => true));
kit.button(members, "Only the chosen", () => keep(j => j == chosen.value));
const own = kit.controls(stage);
const chosen = kit.choice(own, "chosen", data.weights.map((_, j) => [j, j + 1]), draw);
const range = {min: -4, max: 4, step: .01, value: 0, show: x => kit.fixed(x, 2)};
const weight = kit.slider(own, "weight", range, x => change("weight", x));
const bias = kit.slider(own, "bias", range, x => change("bias", x));
const all = kit.controls(stage);
const bend = kit.choice(all, "bend", Object.keys(bends).map(name => [name, name]), draw);
const looping = kit.loop(stage, () => {
  for (let i = 0; i < STEPS_A_FRAME; i++) descend();
  draw();
  return step < N_STEPS;
});
const run = kit.runButton(all, looping, "Train", "Pause");
run.addEventListener("click", () => { if (step >= N_STEPS) step = 0; });
kit.button(all, "As the page trained them", reset);
const output = kit.says(stage);

function toggle(j) {
  neurons[j].on = !neurons[j].on;
  if (neurons[j].on) chosen.value = j;
  step = 0;
  draw();
}
function keep(belongs) {
  neurons.forEach((neuron, j) => { neuron.on = belongs(j); });
  step = 0;
  draw();
}
function change(name, value) {
  neurons[chosen.value][name] = value;
  draw();
}
function reset() {
  looping.stop();
  neurons = data.weights.map((weight, j) => ({weight, bias: data.biases[j], on: true}));
  bend.value = "tanh";
  step = 0;
  draw();
}

function words() {
  const n = neurons.filter(isOn).length;
  const many = n == 1 ? "1 neuron" : `${n} neurons`;
  const steps = step ? `, after ${step} steps` : "";
  return `${many}: off the sine by ${kit.fixed(distance(), 3)} on average between −3 and 3${steps}`;
}
function draw() {
  buttons.forEach((button, j) => button.setAttribute("aria-pressed", neurons[j].on));
  weight.value = neurons[chosen.value].weight;
  bias.value = neurons[chosen.value].bias;
  output.textContent = words();
  plot.redraw();
}

// A neuron is in the middle of its bend where its sum is zero: drag that place.
plot.onDrag(x => change("bias", kit.clip(-neurons[chosen.value].weight * x, [-4, 4])));
reset();
return {bends, descend, slopes, sum, distance, get neurons() { return neurons; }};
});
