// Page 06: the neurons of a network that paints, each as the picture that it paints, to be switched off.
// needs: kit network trained
"use strict";
kit.experiment("pictures", (stage, data) => {

const WIDTH = 64;
const net = trained.load(data.weights, {kind: "places", width: WIDTH});
const photograph = kit.bytes(data.photograph);
const side = Math.sqrt(photograph.length / 3);
const places = network.places(side, side);
const whole = trained.answers(net, places).slice(1); // of each layer, with every neuron on
const off = whole.slice(0, -1).map(() => Array(WIDTH).fill(false)); // by layer and neuron
const kernels = net.layers.map(({kernel}) => kernel.slice());

// The colours at every place. A neuron that is off has weights of zero in the layer behind it.
function paint() {
  off.forEach((own, l) => {
    const {kernel, outputs} = net.layers[l + 1];
    kernel.set(kernels[l + 1]);
    own.forEach((isOff, j) => { if (isOff) kernel.fill(0, j * outputs, (j + 1) * outputs); });
  });
  return network.colours(net, places);
}

const most = trained.decibels(whole.at(-1), photograph);
let found = most;

const row = kit.controls(stage);
const names = off.map((_, l) => [l, l + 1]);
const layer = kit.choice(row, "layer", names, showLayer);
kit.button(row, "All off", () => switchLayer(true));
kit.button(row, "All on", () => switchLayer(false));
const sight = kit.add(stage, "div", {class: "pictures-sight"});
const result = kit.add(sight, "div", {class: "pictures-result"});
const painting = kit.canvas(result, side, side, "What the network paints with the neurons that are on");
const grid = kit.add(sight, "div", {class: "pictures-grid"});
const output = kit.says(result);
const buttons = off[0].map((_, j) => {
  const button = kit.button(grid, "", () => switchNeuron(j));
  button.setAttribute("aria-label", `neuron ${j + 1}`);
  return {button, picture: kit.canvas(button, side, side, `what neuron ${j + 1} paints`)};
});

function switchNeuron(j) {
  off[layer.value][j] = !off[layer.value][j];
  draw();
}
function switchLayer(isOff) {
  off[layer.value].fill(isOff);
  draw();
}
function showLayer() {
  buttons.forEach(({picture}, j) => picture.show(trained.greys(whole[layer.value], WIDTH, j)));
  draw();
}

// Which neurons are off, in words: "neuron 3 of layer 1".
function missing() {
  const all = off.flatMap((own, l) => own.flatMap((isOff, j) => isOff ? [`neuron ${j + 1} of layer ${l + 1}`] : []));
  return all.length < 3 ? all.join(" and ") : `${all.length} neurons`;
}

function draw() {
  const colours = paint();
  painting.show(colours);
  buttons.forEach(({button}, j) => button.setAttribute("aria-pressed", !off[layer.value][j]));
  found = trained.decibels(colours, photograph);
  const lost = `${kit.fixed(found, 1)} dB without ${missing()}: ${kit.fixed(most - found, 1)} dB lost`;
  output.textContent = missing() ? lost : `${kit.fixed(most, 1)} dB with all ${off.flat().length} neurons`;
}
layer.value = off.length - 1;
showLayer();
return {whole, most, off, draw, get decibels() { return found; }};
});
