// Networks in the browser: those of the course, read from their files or new, what they compute, and how
// they learn. Places (row, col) and colours of a batch are rows in a Float32Array. Inside are 64 bits for
// each number, because JavaScript computes with 64, and would convert each of 32 first.
// needs: kit
"use strict";
const network = (() => {

// ---------------------------------------------------------------- new networks

// A network with ReLUs in its hidden layers, decided by `seed`. `kind` says what a place is made into
// before them: with "waves" the sines and cosines of random frequencies, and with "half-grid" the numbers
// at the nodes around it, as `paint` does for a picture of `picture` = [height, width]; with "places", or
// no waves, nothing.
function create({
  kind = "waves", seed = 0, inputs = 2, outputs = 3, waves = 32, sigma = 1.5, width = 32, depth = 3,
  picture = [64, 64],
} = {}) {
  const {uniform, normal} = kit.random(seed);
  const draw = (n, scale) => Float64Array.from({length: n}, () => scale * normal());
  const net = {inputs, outputs, waves: null, grid: null, activation: "relu", random: uniform, layers: []};
  if (kind == "waves" && waves) net.waves = draw(inputs * waves, sigma);
  if (kind == "half-grid") {
    const small = rows => Float64Array.from({length: 4 * rows}, () => 1e-4 * (2 * uniform() - 1));
    const spacing = halfGrid(picture);
    const tables = spacing.cells.map(cells => small((cells[0] + 2) * (cells[1] + 2)));
    net.grid = {...spacing, tables, features: 4};
  }
  let size = encodedSize(net);
  for (let l = 0; l <= depth; l++) {
    const next = l < depth ? width : outputs;
    const scale = Math.sqrt((l < depth ? 2 : 1) / size); // He's for ReLUs, LeCun's for the last layer
    net.layers.push({inputs: size, outputs: next, kernel: draw(size * next, scale), bias: new Float64Array(next)});
    size = next;
  }
  return prepared(net);
}

// The grids that `paint` takes for a picture: four, the finest with so many cells for each of its pixels.
function halfGrid([height, width], perPixel = .5) {
  const long = Math.max(height, width);
  const extent = [height / long, width / long];
  const finest = Math.max(1, Math.floor(long * perPixel));
  const cells = [8, 4, 2, 1].map(part => {
    const size = Math.max(1, roundHalfToEven(finest / part));
    return extent.map(side => Math.max(1, Math.ceil(Number((size * side).toFixed(6)))));
  });
  return {cells, extent, order: 2};
}

function roundHalfToEven(x) {
  return x % 1 == .5 ? 2 * Math.round(x / 2) : Math.round(x);
}

// How many numbers the first layer gets.
function encodedSize({inputs, waves, grid}) {
  if (waves) return 2 * waves.length / inputs;
  return grid ? grid.tables.length * grid.features : inputs;
}

// Room for slopes, and for the moments of Adam, of each array that training changes.
function prepared(net) {
  net.steps = 0;
  net.parameters = [];
  const learn = value => {
    const like = () => new Float64Array(value.length);
    const parameter = {value, slope: like(), mean: like(), square: like()};
    net.parameters.push(parameter);
    return parameter.slope;
  };
  if (net.grid) net.grid.slopes = net.grid.tables.map(learn);
  for (const layer of net.layers) {
    layer.kernelSlope = learn(layer.kernel);
    layer.biasSlope = learn(layer.bias);
    layer.transposed = new Float64Array(layer.kernel.length);
  }
  makeRoom(net, 32);
  const widest = Math.max(...net.layers.map(({inputs, outputs}) => Math.max(inputs, outputs)));
  if (widest > zeros.length) zeros = new Float64Array(widest);
  return net;
}

// Room for the activations of `n` places: `activations[0]` is what the first layer gets, the last one the
// colours; `deltas` are the slopes of the loss for them.
function makeRoom(net, n) {
  if (net.room >= n) return;
  net.room = n;
  const sizes = [encodedSize(net), ...net.layers.map(layer => layer.outputs)];
  net.activations = sizes.map(size => new Float64Array(n * size));
  net.deltas = sizes.map(size => new Float64Array(n * size));
  if (net.grid) {
    const taps = n * net.grid.tables.length * (net.grid.order + 1) ** 2;
    net.grid.nodes = new Int32Array(taps);
    net.grid.shares = new Float64Array(taps);
  }
}

// How many numbers training changes.
function count(net) {
  return net.parameters.reduce((sum, {value}) => sum + value.length, 0);
}

// ---------------------------------------------------------------- products of matrices

let zeros = new Float64Array(256);
// out = a · b, of `rows` by `inner` times `inner` by `cols` numbers, and `start` added to each row.
// Numbers of `a` are `down` and `right` apart, so that it may be a transposed matrix; `b` and `out` are rows.
// Two by four sums grow at a time: as many as a processor has registers for, so each number read serves several.
function multiply(a, down, right, b, out, rows, inner, cols, start) {
  const evenRows = rows - rows % 2;
  const evenCols = cols - cols % 4;
  for (let row = 0; row < evenRows; row += 2) {
    for (let col = 0; col < evenCols; col += 4) {
      let p0 = start[col], p1 = start[col + 1], p2 = start[col + 2], p3 = start[col + 3];
      let q0 = p0, q1 = p1, q2 = p2, q3 = p3;
      for (let i = 0, k = row * down, at = col; i < inner; i++, k += right, at += cols) {
        const p = a[k], q = a[k + down];
        const b0 = b[at], b1 = b[at + 1], b2 = b[at + 2], b3 = b[at + 3];
        p0 += p * b0;
        p1 += p * b1;
        p2 += p * b2;
        p3 += p * b3;
        q0 += q * b0;
        q1 += q * b1;
        q2 += q * b2;
        q3 += q * b3;
      }
      const at = row * cols + col;
      out[at] = p0;
      out[at + 1] = p1;
      out[at + 2] = p2;
      out[at + 3] = p3;
      out[at + cols] = q0;
      out[at + cols + 1] = q1;
      out[at + cols + 2] = q2;
      out[at + cols + 3] = q3;
    }
  }
  for (let row = 0; row < rows; row++) { // what is left: the last columns, and an odd row
    for (let col = row < evenRows ? evenCols : 0; col < cols; col++) {
      let sum = start[col];
      for (let i = 0, k = row * down; i < inner; i++, k += right) sum += a[k] * b[i * cols + col];
      out[row * cols + col] = sum;
    }
  }
}

// ---------------------------------------------------------------- forward

// `n` places to colours: rows of `net.activations.at(-1)`, valid until the next call. Instead of places may
// come their `features`.
function forward(net, places, n, areFeatures = false) {
  makeRoom(net, n);
  if (areFeatures) net.activations[0].set(places);
  else encode(net, places, n);
  net.layers.forEach((layer, l) => {
    const isHidden = l < net.layers.length - 1;
    applyLayer(layer, net.activations[l], net.activations[l + 1], n);
    if (isHidden) activate(net, net.activations[l + 1], n * layer.outputs, l);
  });
  return net.activations.at(-1);
}

function encode(net, places, n) {
  if (net.waves) encodeWaves(net, places, n);
  else if (net.grid) encodeGrid(net.grid, places, net.activations[0], n);
  else net.activations[0].set(places.subarray(0, n * net.inputs));
}

function encodeWaves(net, places, n) {
  const {waves, inputs} = net;
  const out = net.activations[0];
  const half = waves.length / inputs;
  for (let e = 0, at = 0; e < n; e++, at += 2 * half) {
    for (let k = 0; k < half; k++) {
      let turns = places[e * inputs] * waves[k];
      if (inputs == 2) turns += places[2 * e + 1] * waves[half + k];
      out[at + k] = sine(turns);
      out[at + half + k] = sine(turns + .25);
    }
  }
}

// The sine of so many turns, to within 3e-7: the polynomial of `cadl_flax.features.sine`, faster than Math.sin.
function sine(turns) {
  const halves = Math.floor(2 * turns + .5);
  const rest = Math.PI * (2 * turns - halves);
  const s = rest * rest;
  const series = s * (-1.66666571e-1 + s * (8.33301752e-3 + s * (-1.98066311e-4 + s * 2.60008845e-6)));
  return (1 - 2 * (halves & 1)) * rest * (1 + series);
}

// What the first layer gets at `n` places, for `step` and `forward`: waves are not trained, so it stays.
function features(net, places, n) {
  makeRoom(net, n);
  encode(net, places, n);
  return net.activations[0].slice(0, n * encodedSize(net));
}

function applyLayer({inputs, outputs, kernel, bias}, x, y, n) {
  multiply(x, inputs, 1, kernel, y, n, inputs, outputs, bias);
}

function activate(net, y, length, l) {
  if (net.activation == "sine") {
    const omega = l ? net.omega : net.firstOmega;
    for (let k = 0; k < length; k++) y[k] = sine(omega / (2 * Math.PI) * y[k]);
  } else {
    for (let k = 0; k < length; k++) if (y[k] < 0) y[k] = 0;
  }
}

// ---------------------------------------------------------------- grids

// Along one axis, the shares of the nodes around a place that is `f` of a cell behind the first of them.
const shares = [new Float64Array(3), new Float64Array(3)];
function share(into, f, order) {
  into[0] = order == 1 ? 1 - f : (1 - f) ** 2 / 2;
  into[1] = order == 1 ? f : .5 + f * (1 - f);
  into[2] = order == 1 ? 0 : f * f / 2;
}

// The numbers at the nodes around each place; which nodes they are, and the share of each, is kept for the slopes.
function encodeGrid(grid, places, out, n) {
  const {cells, tables, features, order, extent, nodes, shares: kept} = grid;
  const taps = order + 1;
  out.fill(0, 0, n * tables.length * features);
  for (let e = 0, t = 0; e < n; e++) {
    for (let level = 0; level < tables.length; level++) {
      const [rows, cols] = cells[level];
      const r = toCells(places[2 * e] / extent[0], rows, order, shares[0]);
      const c = toCells(places[2 * e + 1] / extent[1], cols, order, shares[1]);
      const at = (e * tables.length + level) * features;
      for (let tap = 0; tap < taps * taps; tap++, t++) {
        const i = tap % taps;
        const j = (tap - i) / taps;
        nodes[t] = features * tableRow(r + i, c + j, rows + order, cols + order, tables[level].length / features);
        kept[t] = shares[0][i] * shares[1][j];
        for (let f = 0; f < features; f++) out[at + f] += kept[t] * tables[level][nodes[t] + f];
      }
    }
  }
}

// The first node that counts for a place `x` from -1 to 1, which may be beyond; the shares are put into `into`.
function toCells(x, cells, order, into) {
  const at = (kit.clip(x, [-1, 1]) + 1) / 2 * cells;
  const cell = Math.min(cells - 1, Math.floor(at));
  share(into, at - cell, order);
  return cell;
}

// Rows of a table run down the columns of the picture. In a table too small for its nodes, a hash decides.
function tableRow(r, c, height, width, rows) {
  if (rows >= height * width) return r + c * height;
  return ((r ^ Math.imul(c, 2654435761)) >>> 0) % rows;
}

function gridSlopes({tables, features, order, nodes, shares: kept, slopes}, delta, n) {
  const taps = (order + 1) ** 2;
  for (let e = 0, t = 0; e < n; e++) {
    for (let level = 0; level < tables.length; level++) {
      const at = (e * tables.length + level) * features;
      for (const end = t + taps; t < end; t++) {
        for (let f = 0; f < features; f++) slopes[level][nodes[t] + f] += kept[t] * delta[at + f];
      }
    }
  }
}

// ---------------------------------------------------------------- learning

// The mean squared error of `n` places and colours, and its slope for each parameter, by backpropagation.
function slopes(net, places, colours, n, areFeatures = false) {
  if (net.activation == "sine") throw new Error("networks of sines are painted here, and not trained");
  const answers = forward(net, places, n, areFeatures);
  const errors = net.deltas.at(-1);
  const length = n * net.outputs;
  let loss = 0;
  for (let k = 0; k < length; k++) {
    const error = answers[k] - colours[k];
    loss += error * error / length;
    errors[k] = 2 * error / length;
  }
  for (const {slope} of net.parameters) slope.fill(0);
  for (let l = net.layers.length - 1; l >= 0; l--) {
    layerSlopes(net.layers[l], net.activations[l], net.deltas[l + 1], n);
    if (l || net.grid) slopesBelow(net.layers[l], net.activations[l], net.deltas[l + 1], net.deltas[l], n, l > 0);
  }
  if (net.grid) gridSlopes(net.grid, net.deltas[0], n);
  return loss;
}

function layerSlopes({inputs, outputs, kernelSlope, biasSlope}, x, delta, n) {
  for (let k = 0, j = 0; k < n * outputs; k++) {
    biasSlope[j] += delta[k];
    if (++j == outputs) j = 0;
  }
  multiply(x, 1, inputs, delta, kernelSlope, inputs, n, outputs, zeros);
}

// The slopes for what a layer got, from those for what it gave.
function slopesBelow({inputs, outputs, kernel, transposed}, x, delta, below, n, isBehindRelu) {
  for (let i = 0, k = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) transposed[j * inputs + i] = kernel[k++];
  }
  multiply(delta, outputs, 1, transposed, below, n, outputs, inputs, zeros);
  if (isBehindRelu) for (let k = 0; k < n * inputs; k++) if (x[k] === 0) below[k] = 0;
}

// One step of Adam; returns the loss before it.
function step(net, places, colours, n, rate, areFeatures = false) {
  const loss = slopes(net, places, colours, n, areFeatures);
  net.steps++;
  const correction = Math.sqrt(1 - .999 ** net.steps);
  const scaled = rate * correction / (1 - .9 ** net.steps);
  const epsilon = 1e-8 * correction;
  for (const {value, slope, mean, square} of net.parameters) {
    for (let i = 0; i < value.length; i++) {
      const s = slope[i];
      const m = mean[i] + .1 * (s - mean[i]);
      const v = square[i] + .001 * (s * s - square[i]);
      mean[i] = m;
      square[i] = v;
      value[i] -= scaled * m / (Math.sqrt(v) + epsilon);
    }
  }
  return loss;
}

// ---------------------------------------------------------------- pictures

// The centres of the pixels of a window [top, left, bottom, right], all of a picture if left out, as places.
function places(height, width, window = whole(height, width)) {
  const [top, left, bottom, right] = window;
  const found = new Float32Array(2 * height * width);
  for (let row = 0, k = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      found[k++] = top + (bottom - top) * (row + .5) / height;
      found[k++] = left + (right - left) * (col + .5) / width;
    }
  }
  return found;
}

// The longer side of a picture goes from -1 to 1.
function whole(height, width) {
  const long = Math.max(height, width);
  return [-height / long, -width / long, height / long, width / long];
}

// Red, green, blue at `n` places, put into `into` from its pixel `first` on. Gray becomes three equal numbers.
const CHUNK = 512; // so many places at once, whose activations stay in the processor's cache
function colours(net, places, n = places.length / net.inputs, into = new Float32Array(3 * n), first = 0) {
  const {inputs, outputs} = net;
  for (let start = 0, k = 3 * first; start < n; start += CHUNK) {
    const some = Math.min(CHUNK, n - start);
    const answers = forward(net, places.subarray(inputs * start, inputs * (start + some)), some);
    for (let e = 0; e < some; e++) {
      for (let c = 0; c < 3; c++) into[k++] = answers[e * outputs + (outputs < 3 ? 0 : c)];
    }
  }
  return into;
}

// `height` by `width` pixels of a window: rows of red, green, blue, as `cadl_flax.pictures.render` has them,
// but not clipped to 0 and 1.
function paint(net, height, width, window) {
  return colours(net, places(height, width, window));
}

// The same in passes, each with a quarter of the pixels of the next: yields the picture so far, whose
// unknown pixels have the colour of a neighbour, at least every `pause` milliseconds.
function paintCoarseFirst(net, height, width, window, coarsest = 8) {
  return coarseFirst(net, places(height, width, window), height, width, coarsest);
}

// The same for the places `all`, one for each pixel. `coarsest` is a power of 2.
function* coarseFirst(net, all, height, width, coarsest = 8, pause = 12) {
  const picture = new Float32Array(3 * height * width);
  let until = performance.now() + pause;
  for (let size = coarsest; size >= 1; size /= 2) {
    for (let row = 0; row < height; row += size) {
      const wanted = [];
      for (let col = 0; col < width; col += size) {
        const isKnown = size < coarsest && row % (2 * size) == 0 && col % (2 * size) == 0;
        if (!isKnown) wanted.push(row * width + col);
      }
      const some = Float32Array.from({length: 2 * wanted.length}, (_, k) => all[2 * wanted[k >> 1] + k % 2]);
      const found = colours(net, some);
      wanted.forEach((pixel, k) => fillSquare(picture, height, width, pixel, size, found.subarray(3 * k, 3 * k + 3)));
      if (performance.now() > until) {
        yield picture;
        until = performance.now() + pause;
      }
    }
  }
  yield picture;
}

// A picture with each pixel `times` as large.
function enlarge(colours, height, width, times) {
  const large = new Float32Array(colours.length * times ** 2);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const first = pixel % width;
    const corner = times * ((pixel - first) / width * width * times + first);
    const colour = colours.subarray(3 * pixel, 3 * pixel + 3);
    fillSquare(large, times * height, times * width, corner, times, colour);
  }
  return large;
}

function fillSquare(picture, height, width, pixel, size, colour) {
  const first = pixel % width;
  const row = (pixel - first) / width;
  for (let y = row; y < Math.min(height, row + size); y++) {
    for (let x = first; x < Math.min(width, first + size); x++) picture.set(colour, 3 * (y * width + x));
  }
}

// ---------------------------------------------------------------- files

// The network in a file of `cadl_flax.tracking.save`: a model, a run or a painting, such as `cadl_flax paint`
// leaves. `net.picture` is the height and width of what it paints. An Error says what is wrong with a file.
function read(bytes) {
  const {header, words, content} = readHeader(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
  const names = Object.keys(header).filter(name => name.startsWith("model."));
  names.sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
  const arrays = end => names
    .filter(name => name.endsWith(`.${end}`) || name.includes(`.${end}.`))
    .map(name => readArray(header[name], content));
  const biases = arrays("bias");
  const layers = arrays("kernel").map(({shape, value}, l) => {
    return {inputs: shape[0], outputs: shape[1], rank: shape.length, kernel: value, bias: biases[l]?.value};
  });
  const [frequencies] = arrays("frequencies");
  const tables = arrays("tables");
  const [height, width] = header.image?.shape ?? words.settings?.picture ?? [1, 1];
  const net = {picture: [height, width], layers, activation: "relu", random: kit.random(0).uniform};
  net.waves = frequencies?.value ?? null;
  net.grid = tables.length ? readGrid(tables, words, net.picture) : null;
  net.inputs = frequencies ? frequencies.shape[0] : net.grid ? 2 : layers[0]?.inputs;
  net.outputs = layers.at(-1)?.outputs;
  if (net.grid && !words.settings?.picture && !header.image) net.picture = net.grid.extent;
  if (words.network == "siren" || words.settings?.first_omega) {
    net.activation = "sine";
    net.firstOmega = words.settings?.first_omega ?? Math.max(30, .35 * Math.max(height, width));
    net.omega = words.settings?.omega ?? 30;
  }
  check(net);
  return prepared(net);
}

// A file begins with 8 bytes, the length of a table of contents; this follows as JSON, then the numbers.
function readHeader(file) {
  const none = "this is no safetensors file";
  if (file.length < 8) throw new Error(none);
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (length > file.length - 8) throw new Error(none);
  let header, words;
  try {
    header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    words = readWords(header.__metadata__ ?? {});
  } catch {
    throw new Error(none);
  }
  if (!(words.format > 0)) throw new Error("this file was not written by cadl_flax");
  if (words.format > 2) throw new Error("a newer cadl_flax wrote this file");
  return {header, words, content: file.subarray(8 + length)};
}

// One word holds all of format 2 as JSON. In format 1 each has a key of its own, and some are no JSON.
function readWords(metadata) {
  if (metadata.cadl_flax) return JSON.parse(metadata.cadl_flax);
  const words = {};
  for (const [name, text] of Object.entries(metadata)) {
    try {
      words[name] = JSON.parse(text);
    } catch {
      words[name] = text;
    }
  }
  return words;
}

function readArray({dtype, shape, data_offsets: [from, to]}, content) {
  const size = shape.reduce((product, n) => product * n, 1);
  const bytes = {F32: 4, F16: 2}[dtype];
  if (!bytes) throw new Error(`numbers of type ${dtype} are not read here`);
  if (to - from != bytes * size || to > content.length) throw new Error("this file is cut off");
  const part = content.slice(from, to).buffer;
  if (dtype == "F16") return {shape, value: Float64Array.from(new Uint16Array(part), half)};
  return {shape, value: Float64Array.from(new Float32Array(part))};
}

// A number from the 16 bits of a float16.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >> 10 & 31;
  const fraction = bits & 1023;
  if (exponent == 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

// How the nodes of the grids are spaced: a painting has a preset of `paint`, a model its settings.
function readGrid(tables, {network, settings = {}}, picture) {
  const preset = {"full-grid": 1, "half-grid": .5, grid: 1}[network];
  const spacing = preset ? halfGrid(picture, preset) : settings;
  const {cells, extent = [1, 1], order = 2} = spacing;
  if (!cells) throw new Error("this file does not say how the nodes of its grids are spaced (settings: cells)");
  if (cells.length != tables.length) throw new Error("this network has other grids than paint makes");
  return {cells, extent, order, features: tables[0].shape[1], tables: tables.map(({value}) => value)};
}

// A network that is not a chain of full layers from two numbers to a colour cannot be run here.
function check(net) {
  const {layers, outputs} = net;
  if (!layers.length) throw new Error("there is no network in this file");
  const fits = layers.every(({inputs, rank, kernel, bias, outputs}, l) => {
    const isNext = inputs == (l ? layers[l - 1].outputs : encodedSize(net));
    return rank == 2 && isNext && kernel.length == inputs * outputs && bias?.length == outputs;
  });
  if (!fits || net.inputs > 2 || outputs > 4) throw new Error("this network is not one that paint makes");
}

return {
  create, read, count, halfGrid, features, forward, slopes, step,
  places, whole, colours, paint, paintCoarseFirst, coarseFirst, enlarge,
};
})();
