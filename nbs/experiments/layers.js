// Page 08: what each layer of a network that paints answers at a place, and which layer knows the outlines.
// needs: kit network trained
"use strict";
kit.experiment("layers", (stage, data) => {

const bytes = kit.bytes(data.photograph);
const photograph = Float32Array.from(bytes, x => x / 255);
const side = Math.sqrt(photograph.length / 3);
const places = network.places(side, side);
const settings = {
  grids: {kind: "half-grid", width: 64, depth: 2, picture: [side, side]},
  bare: {kind: "places", width: 64, depth: 6},
};

// ---------------------------------------------------------------- what goes through a network

// How much all numbers of a stage change from each pixel to the next ones below and to the right.
function changes(values, n) {
  const found = [];
  for (let row = 0; row < side - 1; row++) {
    for (let col = 0; col < side - 1; col++) {
      let squares = 0;
      for (let j = 0, k = (row * side + col) * n; j < n; j++, k++) {
        squares += (values[k + side * n] - values[k]) ** 2 + (values[k + n] - values[k]) ** 2;
      }
      found.push(Math.sqrt(squares));
    }
  }
  return found;
}

function correlation(a, b) {
  const mean = values => values.reduce((sum, x) => sum + x, 0) / values.length;
  const [p, q] = [a, b].map(values => {
    const middle = mean(values);
    return values.map(x => x - middle);
  });
  const product = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  return product(p, q) / Math.sqrt(product(p, p) * product(q, q));
}
const outlines = changes(photograph, 3);

// The stages of a network: the name of each, and its numbers at every place.
function stagesOf(kind) {
  const found = trained.answers(trained.load(data.weights[kind], settings[kind]), places);
  const first = ["place"];
  if (kind == "grids") {
    found.unshift(places);
    first.push("grids");
  }
  const hidden = Array.from({length: settings[kind].depth}, (_, l) => `layer ${l + 1}`);
  const names = [...first, ...hidden, "colour"];
  return found.map((values, s) => {
    const n = values.length / side ** 2;
    const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    return {name: names[s], n, values, largest, edges: correlation(changes(values, n), outlines)};
  });
}
const networks = {}; // each is worked out when it is first asked for

// ---------------------------------------------------------------- what is on the page

let stages = [];
let chosen = {}; // the stage and the neuron that are painted
let isHeld = false; // whether the place stays where a mouse moves on

const top = kit.controls(stage);
const kinds = [["grids", "grids in front"], ["bare", "bare coordinates"]];
const kind = kit.choice(top, "network", kinds, showNetwork);
const pictures = kit.add(stage, "div", {class: "layers-pictures"});
const painting = picture("the painting", "The painting; move over it to choose a place");
const truth = picture("the photograph", "The photograph; move over it to choose a place");
const neuron = picture("", "What the chosen neuron answers at every place");
truth.show(photograph);
const across = kit.controls(stage);
const range = {min: 0, max: side - 1, step: 1};
const row = kit.slider(across, "row", {...range, value: 41}, draw);
const col = kit.slider(across, "column", {...range, value: 11}, draw);
const table = kit.add(stage, "div", {class: "layers-table"});
const patches = kit.add(stage, "div", {class: "layers-patches"});
const painted = patch("painted");
const real = patch("photograph");
const below = kit.controls(stage);
const layer = kit.choice(below, "picture of", [], layerChosen);
const which = kit.slider(below, "number", {min: 1, max: 64, step: 1, value: 1}, j => choose(chosen.stage, j - 1));
const output = kit.says(stage);

// A picture with its name, and a ring where the chosen place is.
function picture(words, label) {
  const figure = kit.add(pictures, "div", {class: "layers-picture"});
  const frame = kit.add(figure, "div", {class: "layers-frame"});
  const canvas = kit.canvas(frame, side, side, label);
  const ring = kit.add(frame, "span", {class: "layers-ring", "aria-hidden": "true"});
  const name = kit.add(figure, "span", {}, words);
  const follow = event => {
    const box = canvas.element.getBoundingClientRect();
    const pixel = along => kit.clip(Math.floor(along * side), [0, side - 1]);
    row.value = pixel((event.clientY - box.top) / box.height);
    col.value = pixel((event.clientX - box.left) / box.width);
    draw();
  };
  canvas.element.addEventListener("pointermove", event => { if (!isHeld) follow(event); });
  canvas.element.addEventListener("pointerdown", event => {
    isHeld = event.pointerType == "mouse" && !isHeld; // a finger holds what it touched
    follow(event);
  });
  return {show: canvas.show, ring, name};
}

function patch(words) {
  const label = kit.add(patches, "div", {});
  const colour = kit.add(label, "span", {class: "layers-colour"});
  kit.add(label, "span", {}, words + " ");
  const numbers = kit.add(label, "span");
  return rgb => {
    const [r, g, b] = rgb.map(x => Math.round(255 * kit.clip(x, [0, 1])));
    colour.style.background = `rgb(${r} ${g} ${b})`;
    numbers.textContent = ["red", "green", "blue"].map((name, c) => `${name} ${kit.fixed(rgb[c], 2)}`).join(", ");
  };
}

// A row of the table: a strip of cells, one for each number of the stage.
function strip(one, s) {
  kit.add(table, "span", {}, one.name);
  const svg = kit.add(table, "svg", {viewBox: `0 0 ${one.n} 1`, preserveAspectRatio: "none", "aria-hidden": "true"});
  one.cells = Array.from({length: one.n}, (_, x) => kit.add(svg, "rect", {x, width: 1, height: 1}));
  svg.addEventListener("pointerdown", event => {
    const box = svg.getBoundingClientRect();
    const j = Math.floor((event.clientX - box.left) / box.width * one.n);
    choose(s, kit.clip(j, [0, one.n - 1]));
  });
  kit.add(table, "span", {}, s ? kit.fixed(one.edges, 2) : "");
}

function showNetwork() {
  networks[kind.value] ??= stagesOf(kind.value);
  stages = networks[kind.value];
  table.replaceChildren();
  for (const words of ["", "the numbers at this place", "edges"]) kit.add(table, "span", {class: "head"}, words);
  stages.forEach(strip);
  layer.replaceChildren();
  stages.forEach((one, s) => kit.add(layer, "option", {value: s}, one.name));
  const colours = stages.at(-1).values;
  painting.show(colours);
  painting.name.textContent = `the painting, ${kit.fixed(trained.decibels(colours, bytes), 1)} dB`;
  choose(stages.length - 2, 0);
}

function layerChosen() {
  choose(Number(layer.value), 0);
}
function choose(s, j) {
  chosen = {stage: s, neuron: j};
  const {name, n, values} = stages[s];
  layer.value = s;
  which.input.max = n;
  which.value = j + 1;
  neuron.show(trained.greys(values, n, j));
  neuron.name.textContent = `${name}, number ${j + 1}`;
  draw();
}

function numbersAt(one) {
  const p = row.value * side + col.value;
  return [...one.values.slice(p * one.n, (p + 1) * one.n)];
}

function draw() {
  stages.forEach((one, s) => numbersAt(one).forEach((x, j) => {
    const cell = one.cells[j];
    cell.style.fillOpacity = Math.min(1, 2 * Math.abs(x) / one.largest);
    const isChosen = s == chosen.stage && j == chosen.neuron;
    cell.setAttribute("class", `${x < 0 ? "other" : "model"}${isChosen ? " chosen" : ""}`);
  }));
  for (const {ring} of [painting, truth, neuron]) {
    ring.style.left = `${100 * (col.value + .5) / side}%`;
    ring.style.top = `${100 * (row.value + .5) / side}%`;
  }
  painted(numbersAt(stages.at(-1)));
  real(numbersAt({values: photograph, n: 3}));
  const {name} = stages[chosen.stage];
  const value = numbersAt(stages[chosen.stage])[chosen.neuron];
  const where = `Row ${row.value}, column ${col.value}${isHeld ? ", held" : ""}`;
  output.textContent = `${where}: number ${chosen.neuron + 1} of ${name} is ${kit.fixed(value, 2)}`;
}

showNetwork();
return {numbersAt, choose, get stages() { return stages; }, get chosen() { return chosen; }};
});
