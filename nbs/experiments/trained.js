// A network that a page has trained, and what each of its neurons answers at every place.
// needs: kit network
"use strict";
const trained = (() => {

const TYPES = {F32: Float32Array, I8: Int8Array};

// The arrays of a safetensors file by name, `{values, shape}`; the file comes as "data:…;base64,…".
// It begins with eight bytes for the length of its header, which is JSON.
function unpack(file) {
  const {buffer} = kit.bytes(file);
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  const arrays = {};
  for (const [name, {dtype, shape, data_offsets}] of Object.entries(header)) {
    const [begin, end] = data_offsets.map(offset => 8 + length + offset);
    arrays[name] = {shape, values: new TYPES[dtype](buffer.slice(begin, end))};
  }
  return arrays;
}

// A network as `network.create` makes it, with the numbers of a file, in which its parameters are "0", "1"
// and so on. Tables are kept there in whole numbers, and "0.scale" says how much one is in each column.
function load(file, settings) {
  const arrays = unpack(file);
  const net = network.create(settings);
  net.parameters.forEach(({value}, i) => {
    const {values} = arrays[i];
    const scale = arrays[`${i}.scale`]?.values ?? [1];
    values.forEach((x, k) => { value[k] = x * scale[k % scale.length]; });
  });
  return net;
}

// What goes through a network at all `places`: what its first layer gets, and what each layer answers.
function answers(net, places) {
  const n = places.length / net.inputs;
  network.forward(net, places, n);
  return net.activations.map(values => values.slice(0, n * values.length / net.room));
}

// The answers of one neuron as greys, from its least, black, to its most, white.
function greys(values, nNeurons, neuron) {
  const own = values.filter((_, k) => k % nNeurons == neuron);
  const least = own.reduce((a, b) => Math.min(a, b));
  const range = own.reduce((a, b) => Math.max(a, b)) - least || 1;
  return [...own].flatMap(x => Array(3).fill((x - least) / range));
}

// The decibels of a painting beside the bytes of a photograph; a screen shows whole numbers from 0 to 255.
function decibels(colours, photograph) {
  const error = colours.reduce((sum, colour, k) => {
    const shown = Math.round(255 * kit.clip(colour, [0, 1]));
    return sum + (shown - photograph[k]) ** 2;
  }, 0);
  return -10 * Math.log10(error / colours.length / 255 ** 2);
}

return {load, answers, greys, decibels};
})();
