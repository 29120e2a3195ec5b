// Page 01: a start, a learning rate and a rule, and where a walk downhill ends.
// needs: kit
"use strict";
kit.experiment("descend", stage => {

const N_STEPS = 200;
const ADAM_SCALE = 30; // its steps are about as long as the rate, whatever the slope, so it takes larger ones

function bumpy(p) {
  return Math.sin(10 * p) * Math.exp(-p);
}
function slope(p) {
  return (10 * Math.cos(10 * p) - Math.sin(10 * p)) * Math.exp(-p);
}

// The rules of page 01. Each returns a function from (slope, step) to the change of the number.
const rules = {
  plain: rate => s => -rate * s,
  momentum(rate) {
    let trace = 0;
    return s => {
      trace = s + .9 * trace;
      return -rate * trace;
    };
  },
  adam(rate) {
    let mean = 0;
    let square = 0;
    return (s, t) => {
      mean = .9 * mean + .1 * s;
      square = .999 * square + .001 * s ** 2;
      return -rate * ADAM_SCALE * (mean / (1 - .9 ** t)) / (Math.sqrt(square / (1 - .999 ** t)) + 1e-8);
    };
  },
};

function walk(start, rate, rule, n = N_STEPS) {
  const change = rules[rule](rate);
  const path = [start];
  for (let t = 1; t <= n; t++) path.push(path.at(-1) + change(slope(path.at(-1)), t));
  return path;
}

// Where a walk has come to, in words.
function verdict(path) {
  const end = path.at(-1);
  const last = path.slice(-20);
  const spread = Math.max(...last) - Math.min(...last);
  if (!(Math.abs(end) <= 1.05)) return `after ${N_STEPS} steps it has left the picture`;
  if (spread > .01) {
    return `after ${N_STEPS} steps it still jumps by ${kit.fixed(spread, 2)}: too fast for this valley`;
  }
  if (Math.abs(slope(end)) > .05) {
    return `after ${N_STEPS} steps it is at ${kit.fixed(end, 3)}, still on its way`;
  }
  const settled = path.findIndex((_, t) => path.slice(t).every(p => Math.abs(p - end) < .005));
  return `settled at ${kit.fixed(end, 3)}, cost ${kit.fixed(bumpy(end), 2)}, after ${settled} steps`;
}

let path = [];
const curve = Array.from({length: 421}, (_, i) => -1.05 + i / 200).map(p => [p, bumpy(p)]);
const axes = {
  x: [-1.05, 1.05],
  y: [-2.6, 2.6],
  xlabel: "parameter",
  ylabel: "cost",
  words: "A curve with three valleys, and a walk downhill on it",
};
const plot = kit.plot(stage, axes, plot => {
  plot.line(curve, "truth");
  const inside = path.filter(p => Math.abs(p) <= 1.05).map(p => [p, bumpy(p)]);
  plot.line(inside.slice(0, 40), "faint");
  inside.forEach(([p, cost], t) => plot.dot(p, cost, t ? "model" : "truth", t ? 2.5 : 6));
});
const row = kit.controls(stage);
const starts = {min: -1, max: 1, step: .005, value: .2, show: x => kit.fixed(x, 2)};
const start = kit.slider(row, "start", starts, draw);
const powers = {min: -4, max: -1, step: .02, value: -3, show: x => (10 ** x).toPrecision(2)};
const rate = kit.slider(row, "learning rate", powers, draw);
const names = [
  ["plain", "plain"],
  ["momentum", "momentum 0.9"],
  ["adam", `Adam, at ${ADAM_SCALE} times the rate`],
];
const rule = kit.choice(row, "rule", names, draw);
const output = kit.says(stage);

function draw() {
  path = walk(start.value, 10 ** rate.value, rule.value);
  output.textContent = verdict(path);
  plot.redraw();
}
plot.onDrag(p => {
  start.value = kit.clip(p, [-1, 1]);
  draw();
});
draw();
return {walk, slope, get path() { return path; }};
});
