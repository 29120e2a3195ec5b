// The gallery: bend the places that a painting is asked about, and the picture bends.
// needs: kit network
"use strict";
kit.experiment("warp", (stage, data) => {

const paintings = Object.fromEntries(
  Object.entries(data).map(([name, weights]) => [name, network.read(kit.bytes(weights))]),
);

// A place is one complex number, col + i row, kept as its distance from the centre and its angle.

// Turn a place by so many radians at the centre, and less and less towards a distance of 1.
function swirl([distance, angle], turn) {
  return [distance, angle + turn * Math.max(0, 1 - distance)];
}

// Fold all angles into half a sector, of which there are so many; one alone would be a mirror, so 0 is none.
function kaleidoscope([distance, angle], sectors) {
  if (!sectors) return [distance, angle];
  const sector = 2 * Math.PI / sectors;
  const turned = angle + sector / 2;
  return [distance, Math.abs(turned - sector * Math.floor(turned / sector) - sector / 2)];
}

// Places (row, col) to the places that the painting is asked about.
function bend(places, turn, sectors) {
  const bent = new Float32Array(places.length);
  for (let k = 0; k < places.length; k += 2) {
    const polar = [Math.hypot(places[k], places[k + 1]), Math.atan2(places[k], places[k + 1])];
    const [distance, angle] = swirl(kaleidoscope(polar, sectors), turn);
    bent[k] = distance * Math.sin(angle);
    bent[k + 1] = distance * Math.cos(angle);
  }
  return bent;
}

// ---------------------------------------------------------------- what the reader sees

const sizes = [["96", "96 × 96"], ["192", "192 × 192"], ["384", "384 × 384"]];
const slot = kit.add(stage, "div");
const row = kit.controls(stage);
const names = Object.keys(paintings).map(name => [name, name]);
const name = kit.choice(row, "painting", names, draw);
const turns = {min: -12, max: 12, step: .25, value: 3, show: x => `${kit.fixed(x, 2)} rad`};
const turn = kit.slider(row, "swirl", turns, draw);
const folds = {min: 0, max: 12, step: 1, value: 0, show: x => x ? `${x} sectors` : "off"};
const sectors = kit.slider(row, "kaleidoscope", folds, draw);
const size = kit.choice(row, "pixels", sizes, setSize);
size.value = "192";
const output = kit.says(stage);

let canvas;
let drawing = 0; // counts what was begun, so that an older one stops
let colours;

function setSize() {
  slot.replaceChildren();
  canvas = kit.canvas(slot, Number(size.value), Number(size.value), "The painting, bent");
  draw();
}

// A coarse picture at once, the others between the frames of the screen.
async function draw() {
  const mine = ++drawing;
  const n = Number(size.value);
  const net = paintings[name.value];
  const [asked, numbers] = [n * n, network.count(net)].map(count => count.toLocaleString("en"));
  output.textContent = `a function of ${numbers} numbers, asked about ${asked} places`;
  const bent = bend(network.places(n, n), turn.value, sectors.value);
  for (colours of network.coarseFirst(net, bent, n, n, n / 48)) {
    canvas.show(colours);
    await new Promise(requestAnimationFrame);
    if (mine != drawing) return;
  }
}

setSize();
return {bend, paintings, get colours() { return colours; }};
});
