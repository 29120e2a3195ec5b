// Page 12: the network of cadl_flax/correcting.py that corrects the sheet, `Corrector` and its `Scale`, for
// the pixels that are asked for. A cell is a square of 2 by 2 pixels, and at coarser scales of 2 by 2 cells.
// needs: sheet
"use strict";
const corrector = (() => {

const {COARSEST, places, around} = sheet;
const MIRRORS = [[false, false], [false, true], [true, false], [true, true]];

// ---------------------------------------------------------------- layers

// Weights as whole numbers from -127 to 127, with a scale for each output, become numbers again.
function network(layers, bytes) {
  const floats = base64 => new Float32Array(bytes(base64).buffer);
  const found = {};
  for (const [name, {numbers, scales, biases}] of Object.entries(layers)) {
    const scale = floats(scales);
    const whole = new Int8Array(bytes(numbers).buffer);
    const kernel = Float64Array.from(whole, (x, k) => x * scale[k % scale.length]);
    found[name] = {kernel, bias: Float64Array.from(floats(biases))};
  }
  return found;
}

// Place for the inputs of a layer that are not zero, and for where their rows of its kernel begin.
function listFor({kernel, bias}) {
  const most = kernel.length / bias.length + 3;
  return {inputs: new Float64Array(most), rows: new Int32Array(most), n: 0};
}

// Add `count` features to a list, those from x[from] on, the first with row number `row`. A `hidden` layer
// has a ReLU before it.
function collect(list, x, from, count, row, nOut, hidden) {
  const {inputs, rows} = list;
  let n = list.n;
  for (let c = 0; c < count; c++) {
    const value = x[from + c];
    if (value > 0 || !hidden && value < 0) {
      inputs[n] = value;
      rows[n++] = (row + c) * nOut;
    }
  }
  list.n = n;
}

// Sums of rows of a layer's kernel, times the inputs in a list, which is empty then:
// out = bias + inputs @ kernel. Four rows at a time, as loading and storing the sums costs as much as a
// product.
function combine({kernel, bias}, list, out) {
  const {inputs, rows, n} = list;
  out.set(bias);
  for (let k = n; k < n + 3; k++) inputs[k] = rows[k] = 0; // up to a multiple of four
  for (let k = 0; k < n; k += 4) {
    const [a, b, c, d] = [inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3]];
    const [ka, kb, kc, kd] = [rows[k], rows[k + 1], rows[k + 2], rows[k + 3]];
    for (let q = 0; q < out.length; q++) {
      out[q] += a * kernel[ka + q] + b * kernel[kb + q] + c * kernel[kc + q] + d * kernel[kd + q];
    }
  }
  list.n = 0;
}

// What a kernel of 3 by 3 sees around a cell. Beyond the border there are zeros.
function gather(list, x, cell, {high, wide, inside}, nIn, nOut, hidden) {
  const j = cell % wide;
  const i = (cell - j) / wide;
  for (let tap = 0; tap < 9; tap++) {
    const right = tap % 3 - 1;
    const down = (tap - right - 1) / 3 - 1;
    if (i + down < 0 || j + right < 0 || i + down >= high || j + right >= wide) continue;
    const neighbour = cell + down * wide + right;
    if (inside[neighbour]) collect(list, x, neighbour * nIn, nIn, tap * nIn, nOut, hidden);
  }
}

// A layer of 3 by 3 kernels from the features `x` to the features `y` of some cells; what comes out of a
// `hidden` one is added to `x`. Other cells of `y` keep what they hold: nobody asks them.
function* convolve(layer, x, y, cells, grid, hidden) {
  const nOut = layer.bias.length;
  const nIn = layer.kernel.length / 9 / nOut;
  const list = listFor(layer);
  const sums = new Float64Array(nOut);
  for (let e = 0; e < cells.length; e++) {
    gather(list, x, cells[e], grid, nIn, nOut, hidden);
    combine(layer, list, sums);
    const at = cells[e] * nOut;
    for (let q = 0; q < nOut; q++) y[at + q] = hidden ? sums[q] + x[at + q] : sums[q];
    if (e % 32 == 31) yield;
  }
}

// ---------------------------------------------------------------- scales

// How many layers a scale has `before` the coarser one, or `after` it.
function countLayers(layers, name, when) {
  let n = 0;
  while (`${name}.${when}.${n}` in layers) n++;
  return n;
}

// The layers of a scale before or after the coarser ones: each is computed for fewer cells than the last.
function* look(layers, name, when, buffers, cellsOfLayers, grid) {
  let [x, y] = buffers;
  for (const [n, cells] of cellsOfLayers.entries()) {
    yield* convolve(layers[`${name}.${when}.${n}`], x, y, cells, grid, true);
    [x, y] = [y, x];
  }
  return [x, y];
}

// The four cells of a cell twice as large, in the order of `fold`, in a grid `wide` cells wide.
function fourCells(coarse, wide) {
  const j = coarse % (wide / 2);
  const first = 2 * wide * (coarse - j) / (wide / 2) + 2 * j;
  return [first, first + 1, first + wide, first + wide + 1];
}

// The cells twice as large of which one of the four is among some.
function halve(cells, high, wide) {
  return Uint8Array.from({length: high * wide / 4}, (_, k) => {
    return fourCells(k, wide).some(cell => cells[cell]) ? 1 : 0;
  });
}

// Which cells of a scale, and of the coarser ones, have to be computed for those that are asked for.
// `inside` says which are in the picture. A picture is made up to squares of 8 by 8 pixels, so some are
// beyond its border, and coarser ones see what is there.
function planScale(layers, name, asked, {high, wide, inside}) {
  const [nBefore, nAfter] = ["before", "after"].map(when => countLayers(layers, name, when));
  const within = (cells, n) => around(cells, high, wide, n);
  const shrinking = (cells, n) => Array.from({length: n}, (_, k) => places(within(cells, n - 1 - k)));
  const joined = within(asked, nAfter); // where the answer of the coarser scales is added
  const plan = {grid: {high, wide, inside}, after: shrinking(asked, nAfter)};
  const needed = joined.slice();
  if (`${name}.down` in layers) {
    const askedCoarser = halve(joined, high, wide);
    const grid = {high: high / 2, wide: wide / 2, inside: halve(inside, high, wide)};
    plan.up = places(askedCoarser);
    plan.coarser = planScale(layers, `${name}.coarser`, askedCoarser, grid);
    plan.down = places(plan.coarser.entered);
    for (const coarse of plan.down) for (const cell of fourCells(coarse, wide)) needed[cell] = 1;
  }
  plan.before = shrinking(needed, nBefore);
  plan.entered = within(needed, nBefore);
  return plan;
}

// What a `Scale` of this name makes of features `x`, at the cells that its plan was made for.
function* runScale(layers, name, x, plan) {
  let buffers = [x, new Float32Array(x.length)];
  buffers = yield* look(layers, name, "before", buffers, plan.before, plan.grid);
  if (plan.coarser) {
    const coarser = yield* stepDown(layers[`${name}.down`], buffers[0], plan);
    const answer = yield* runScale(layers, `${name}.coarser`, coarser, plan.coarser);
    yield* stepUp(layers[`${name}.up`], answer, buffers[0], plan);
  }
  const [y] = yield* look(layers, name, "after", buffers, plan.after, plan.grid);
  return y;
}

// Features of cells twice as large, from those of their four.
function* stepDown(layer, x, {down, grid}) {
  const nOut = layer.bias.length;
  const nIn = layer.kernel.length / 4 / nOut;
  const coarser = new Float32Array(grid.high * grid.wide / 4 * nOut);
  const list = listFor(layer);
  const sums = new Float64Array(nOut);
  for (let e = 0; e < down.length; e++) {
    fourCells(down[e], grid.wide).forEach((cell, t) => collect(list, x, cell * nIn, nIn, t * nIn, nOut, false));
    combine(layer, list, sums);
    coarser.set(sums, down[e] * nOut);
    if (e % 32 == 31) yield;
  }
  return coarser;
}

// What cells twice as large answer, added to the features of their four.
function* stepUp(layer, coarser, x, {up, grid}) {
  const nOut = layer.bias.length / 4; // of each of the four
  const nIn = layer.kernel.length / layer.bias.length;
  const list = listFor(layer);
  const sums = new Float64Array(4 * nOut);
  for (let e = 0; e < up.length; e++) {
    collect(list, coarser, up[e] * nIn, nIn, 0, 4 * nOut, true);
    combine(layer, list, sums);
    fourCells(up[e], grid.wide).forEach((cell, t) => {
      for (let q = 0; q < nOut; q++) x[cell * nOut + q] += sums[t * nOut + q];
    });
    if (e % 32 == 31) yield;
  }
}

// ---------------------------------------------------------------- a block

// The cells of 2 by 2 pixels along a side, in squares of 8 by 8 pixels.
function cellsAlong(side) {
  return Math.ceil(side / COARSEST) * COARSEST / 2;
}

// The four pixels of each cell of 2 by 2, in a block that is turned over or not; -1 beyond its border.
function pixelsOfCells(h, w, [turnedDown, turnedRight]) {
  const wide = cellsAlong(w);
  const pixels = new Int32Array(4 * cellsAlong(h) * wide).fill(-1);
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const k = 4 * ((i >> 1) * wide + (j >> 1)) + 2 * (i & 1) + (j & 1);
      pixels[k] = (turnedDown ? h - 1 - i : i) * w + (turnedRight ? w - 1 - j : j);
    }
  }
  return pixels;
}

// What the network sees of some cells: five numbers for each of their pixels.
function cellInputs(cells, pixels, {guide, known, pulled, lifted}) {
  const x = new Float32Array(5 * pixels.length);
  for (const cell of cells) {
    for (let t = 0; t < 4; t++) {
      const p = pixels[4 * cell + t];
      const at = 20 * cell + 5 * t;
      if (p < 0) { // as if a pixel were missing there
        x[at + 1] = -.5;
        continue;
      }
      x[at] = guide[p];
      x[at + 1] = known[p] - .5;
      x[at + 2] = guide[p] * known[p];
      x[at + 3] = pulled[p];
      x[at + 4] = lifted[p];
    }
  }
  return x;
}

// Add to `sums` what the network adds to a block, turned over or not, at its wanted pixels.
// Only those cells are computed that a wanted pixel looks at.
function* addCorrection(sums, looks, wanted, mirror, layers, h, w) {
  const [high, wide] = [cellsAlong(h), cellsAlong(w)];
  const pixels = pixelsOfCells(h, w, mirror);
  const asked = new Uint8Array(high * wide);
  const inside = new Uint8Array(high * wide);
  pixels.forEach((p, k) => {
    if (p < 0) return;
    inside[k >> 2] = 1;
    if (wanted[p]) asked[k >> 2] = 1;
  });
  const plan = planScale(layers, "scale", asked, {high, wide, inside});
  const seen = cellInputs(places(around(plan.entered, high, wide, 1)), pixels, looks);
  const x = new Float32Array(high * wide * layers.first.bias.length);
  yield* convolve(layers.first, seen, x, places(plan.entered), plan.grid, false);
  const y = yield* runScale(layers, "scale", x, plan);
  yield* applyKernels(sums, layers.last, y, places(asked), pixels, looks, wanted, mirror, h, w);
}

// Add what the kernels of the wanted pixels make of the detail, the contrast, the pull and the lift.
function* applyKernels(sums, layer, x, cells, pixels, looks, wanted, mirror, h, w) {
  const nOut = layer.bias.length; // 28 numbers for each pixel of a cell
  const nIn = layer.kernel.length / nOut;
  const list = listFor(layer);
  const kernels = new Float64Array(nOut);
  for (const [e, cell] of cells.entries()) {
    collect(list, x, cell * nIn, nIn, 0, nOut, true);
    combine(layer, list, kernels);
    for (let t = 0; t < 4; t++) {
      const p = pixels[4 * cell + t];
      if (p < 0 || !wanted[p]) continue;
      for (let c = 0; c < sums.length; c++) {
        const others = [looks.contrast[p], looks.pull[c][p], looks.lift[c][p]];
        sums[c][p] += mix(kernels, 28 * t, looks.detail[c], p, mirror, h, w);
        for (let n = 0; n < 3; n++) sums[c][p] += kernels[28 * t + 25 + n] * others[n];
      }
    }
    if (e % 32 == 31) yield;
  }
}

// A kernel of 5 by 5 times the detail around a pixel, zero beyond the border.
function mix(kernels, from, detail, p, [turnedDown, turnedRight], h, w) {
  const j = p % w;
  const i = (p - j) / w;
  let sum = 0;
  for (let down = -2; down <= 2; down++) {
    for (let right = -2; right <= 2; right++) {
      const y = turnedDown ? i - down : i + down;
      const x = turnedRight ? j - right : j + right;
      if (y < 0 || x < 0 || y >= h || x >= w) continue;
      sum += kernels[from + 5 * (down + 2) + right + 2] * detail[y * w + x];
    }
  }
  return sum;
}

// What the network adds at the wanted pixels of a block, the mean over mirror images of it.
function* correction(looks, wanted, layers, h, w, mirrors = MIRRORS) {
  const sums = looks.detail.map(() => new Float64Array(h * w));
  for (const mirror of mirrors) yield* addCorrection(sums, looks, wanted, mirror, layers, h, w);
  return sums.map(sum => sum.map(x => x / mirrors.length));
}

return {MIRRORS, network, correction};
})();
