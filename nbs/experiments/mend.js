// Page 12: what `inpaint` of cadl_flax/inpainting.py computes for a photo of 8 bits: the sheet, and what
// the network adds to it. The names are those of that file and of cadl_flax/correcting.py.
// needs: sheet
"use strict";
const mend = (() => {

const {HALO, places, opposite, around, blocks, sides, cut, paste, nearest, continued, fill} = sheet;
const SEEN = 5; // pixels from a missing one: what lies beyond has no influence
const STENCIL = 2; // pixels from a missing one: what the sheet is pinned to
const MARGIN = .25; // of the range within STENCIL, by which other seen pixels may leave it
const LONGEST = {corrected: 304, compared: 64}; // sides of blocks, in pixels
const ROOMS = [.05, .25]; // of the range, by which rough and smooth fills may leave it
const NOISE_FLOOR = .01; // a contrast below it is not amplified further
const SMOOTH = [.03, .1]; // roughness beside contrast: up to which nothing is added, from which all
const ALIKE = .55; // the likeness of details from which on two channels are of one picture
const MIRRORS = [[false, false], [false, true], [true, false], [true, true]];

// Run a generator of this file to its end at once.
function finish(steps) {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

// ---------------------------------------------------------------- detail and contrast

// How a row or column goes on at place k, before it begins or after it ends.
const borders = {
  odd: (at, n, k) => k < 0 ? 2 * at(0) - at(-k) : 2 * at(n - 1) - at(2 * n - 2 - k), // as a slope
  mirror: (at, n, k) => at(k < 0 ? -k : 2 * n - 2 - k),
  reflect: (at, n, k) => at(k < 0 ? -k - 1 : 2 * n - 1 - k),
  zero: () => 0,
};

// A channel with `radius` more pixels on each side.
function extended(channel, h, w, radius, border) {
  const wide = w + 2 * radius;
  const out = new Float64Array((h + 2 * radius) * wide);
  for (let i = 0; i < h; i++) {
    const at = j => channel[i * w + j];
    for (let j = -radius; j < w + radius; j++) {
      out[(i + radius) * wide + j + radius] = j < 0 || j >= w ? borders[border](at, w, j) : at(j);
    }
  }
  for (let j = 0; j < wide; j++) {
    const at = i => out[(i + radius) * wide + j];
    for (let k = 1; k <= radius; k++) {
      out[(radius - k) * wide + j] = borders[border](at, h, -k);
      out[(h + radius + k - 1) * wide + j] = borders[border](at, h, h + k - 1);
    }
  }
  return out;
}

// The mean over squares of 2 * radius + 1 pixels, by running sums.
function boxMean(channel, h, w, radius, border) {
  const [side, wide] = [2 * radius + 1, w + 2 * radius];
  const padded = extended(channel, h, w, radius, border);
  const across = new Float64Array((h + 2 * radius) * w);
  for (let i = 0; i < h + 2 * radius; i++) {
    let sum = 0;
    for (let j = 0; j < wide; j++) {
      sum += padded[i * wide + j];
      if (j >= side) sum -= padded[i * wide + j - side];
      if (j >= side - 1) across[i * w + j - side + 1] = sum / side;
    }
  }
  const out = new Float64Array(h * w);
  for (let j = 0; j < w; j++) {
    let sum = 0;
    for (let i = 0; i < h + 2 * radius; i++) {
      sum += across[i * w + j];
      if (i >= side) sum -= across[(i - side) * w + j];
      if (i >= side - 1) out[(i - side + 1) * w + j] = sum / side;
    }
  }
  return out;
}

function meanOf(channels) {
  return channels[0].map((_, p) => channels.reduce((sum, channel) => sum + channel[p], 0) / channels.length);
}

// Channels without their mean over 9 by 9 pixels, and how strong the rest is.
function localDetail(channels, h, w) {
  const detail = channels.map(channel => {
    const mean = boxMean(channel, h, w, 4, "odd");
    return channel.map((x, p) => x - mean[p]);
  });
  const gray = meanOf(detail);
  const power = boxMean(gray.map(x => x * x), h, w, 4, "mirror");
  return {detail, gray, contrast: power.map(x => Math.sqrt(Math.max(0, x) + NOISE_FLOOR ** 2))};
}

// How much of a correction to add: the smoother what pins the sheet, the less.
function shareOf(channels, contrast, pinning, h, w) {
  const wide = w + 4;
  let bending = extended(meanOf(channels), h, w, 2, "odd");
  const laplace = a => a.map((x, p) => (a[p - 1] + a[p + 1] + a[p - wide] + a[p + wide] - 4 * x) || 0);
  bending = cut(laplace(laplace(bending)), wide, {top: 2, bottom: h + 2, left: 2, right: w + 2});
  const squares = bending.map((x, p) => pinning[p] ? (x / 20) ** 2 : 0);
  const counts = Float64Array.from(pinning);
  const [near, nNear] = [squares, counts].map(a => boxMean(a, h, w, 4, "zero"));
  const [far, nFar] = [squares, counts].map(a => boxMean(a, h, w, 2 * SEEN + 6, "zero"));
  return contrast.map((x, p) => {
    const power = Math.max(0, near[p] + 1e-3 * far[p]) / (nNear[p] + 1e-3 * nFar[p] + 1e-9);
    const rough = Math.sqrt(power / Math.max(1e-12, x * x - NOISE_FLOOR ** 2));
    return Math.min(1, Math.max(0, (rough - SMOOTH[0]) / (SMOOTH[1] - SMOOTH[0])));
  });
}

// ---------------------------------------------------------------- the network

// Weights as whole numbers from -127 to 127, with a scale for each output, become numbers again.
function network(layers, bytes) {
  const floats = base64 => new Float32Array(bytes(base64).buffer);
  return layers.map(({numbers, scales, biases}) => {
    const scale = floats(scales);
    const whole = new Int8Array(bytes(numbers).buffer);
    const kernel = Float64Array.from(whole, (x, k) => x * scale[k % scale.length]);
    return {kernel, bias: Float64Array.from(floats(biases))};
  });
}

// Sums of rows of a layer's kernel, times inputs that are not zero: out = bias + inputs @ kernel.
// Four rows at a time, as loading and storing the sums costs as much as a product.
function combine({kernel, bias}, inputs, rows, n, out) {
  out.set(bias);
  for (let k = n; k < n + 3; k++) inputs[k] = rows[k] = 0; // up to a multiple of four
  for (let k = 0; k < n; k += 4) {
    const [a, b, c, d] = [inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3]];
    const [ka, kb, kc, kd] = [rows[k], rows[k + 1], rows[k + 2], rows[k + 3]];
    for (let q = 0; q < out.length; q++) {
      out[q] += a * kernel[ka + q] + b * kernel[kb + q] + c * kernel[kc + q] + d * kernel[kd + q];
    }
  }
}

// A layer of 3 by 3 kernels from the features `x` to the features `y` of some cells; after a ReLU if it
// is `hidden`, and then added to `x`. Other cells of `y` keep what they hold: nobody asks them.
function* convolve(layer, nIn, x, y, cells, high, wide, hidden) {
  const nOut = layer.bias.length;
  const inputs = new Float64Array(9 * nIn + 3);
  const rows = new Int32Array(9 * nIn + 3);
  const sums = new Float64Array(nOut);
  for (let e = 0; e < cells.length; e++) {
    const n = gather(inputs, rows, nIn, nOut, x, cells[e], high, wide, hidden);
    combine(layer, inputs, rows, n, sums);
    const at = cells[e] * nOut;
    for (let q = 0; q < nOut; q++) y[at + q] = hidden ? sums[q] + x[at + q] : sums[q];
    if (e % 32 == 31) yield;
  }
}

// What a kernel of 3 by 3 sees around a cell: the inputs that count and their rows in the kernel.
function gather(inputs, rows, nIn, nOut, x, cell, high, wide, hidden) {
  const j = cell % wide;
  const i = (cell - j) / wide;
  let n = 0;
  for (let tap = 0; tap < 9; tap++) {
    const right = tap % 3 - 1;
    const down = (tap - right - 1) / 3 - 1;
    if (i + down < 0 || j + right < 0 || i + down >= high || j + right >= wide) continue;
    const from = (cell + down * wide + right) * nIn;
    for (let c = 0; c < nIn; c++) {
      const value = x[from + c];
      if (value > 0 || !hidden && value < 0) {
        inputs[n] = value;
        rows[n++] = (tap * nIn + c) * nOut;
      }
    }
  }
  return n;
}

// The four pixels of each cell of 2 by 2, in a block that is turned over or not; -1 beyond its border.
function pixelsOfCells(h, w, [turnedDown, turnedRight]) {
  const wide = Math.ceil(w / 2);
  const pixels = new Int32Array(4 * Math.ceil(h / 2) * wide).fill(-1);
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const k = 4 * ((i >> 1) * wide + (j >> 1)) + 2 * (i & 1) + (j & 1);
      pixels[k] = (turnedDown ? h - 1 - i : i) * w + (turnedRight ? w - 1 - j : j);
    }
  }
  return pixels;
}

// What the network sees of some cells: for each of their pixels the guide, and whether it is known.
function cellInputs(x, cells, pixels, {gray, contrast}, missing) {
  for (const cell of cells) {
    for (let t = 0; t < 4; t++) {
      const p = pixels[4 * cell + t];
      const known = p >= 0 && !missing[p] ? 1 : 0;
      const guide = p >= 0 ? gray[p] / contrast[p] : 0;
      const at = 12 * cell + 3 * t;
      x[at] = guide;
      x[at + 1] = known - .5;
      x[at + 2] = guide * known;
    }
  }
}

// Add to `sums` what the network adds to a block, turned over or not, at its wanted pixels.
// Only those cells are computed that a wanted pixel looks at.
function* addCorrection(sums, buffers, looks, missing, wanted, mirror, layers, h, w) {
  const high = Math.ceil(h / 2);
  const wide = Math.ceil(w / 2);
  const pixels = pixelsOfCells(h, w, mirror);
  const asked = new Uint8Array(high * wide);
  pixels.forEach((p, k) => { if (p >= 0 && wanted[p]) asked[k >> 2] = 1; });
  const cellsWithin = n => places(around(asked, high, wide, n));
  let [x, y] = buffers;
  cellInputs(x, cellsWithin(4), pixels, looks, missing);
  yield* convolve(layers[0], 12, x, y, cellsWithin(3), high, wide, false);
  for (let n = 1; n <= 3; n++) {
    [x, y] = [y, x];
    yield* convolve(layers[n], 64, x, y, cellsWithin(3 - n), high, wide, true);
  }
  const inputs = new Float64Array(67);
  const rows = new Int32Array(67);
  const kernels = new Float64Array(104); // 26 numbers for each pixel of a cell
  for (const cell of cellsWithin(0)) {
    let n = 0;
    for (let c = 0; c < 64; c++) {
      if (y[64 * cell + c] <= 0) continue;
      inputs[n] = y[64 * cell + c];
      rows[n++] = 104 * c;
    }
    combine(layers[4], inputs, rows, n, kernels);
    for (let t = 0; t < 4; t++) {
      const p = pixels[4 * cell + t];
      if (p < 0 || !wanted[p]) continue;
      for (let c = 0; c < sums.length; c++) {
        sums[c][p] += mix(kernels, 26 * t, looks.detail[c], p, mirror, h, w);
        sums[c][p] += kernels[26 * t + 25] * looks.contrast[p];
      }
    }
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

// What the network adds at the wanted pixels of a block, the mean over its mirror images.
function* correction(looks, missing, wanted, layers, h, w) {
  const sums = looks.detail.map(() => new Float64Array(h * w));
  const size = 64 * Math.ceil(h / 2) * Math.ceil(w / 2);
  const buffers = [new Float32Array(size), new Float32Array(size)];
  for (const mirror of MIRRORS) {
    yield* addCorrection(sums, buffers, looks, missing, wanted, mirror, layers, h, w);
  }
  return sums.map(sum => sum.map(x => x / MIRRORS.length));
}

// A block with what the network adds, within the limits of each channel.
function* correctBlock(channels, hole, limits, layers, h, w) {
  const looks = localDetail(channels, h, w);
  const share = shareOf(channels, looks.contrast, hole.pinning, h, w);
  const wanted = hole.missing.map((x, p) => x && share[p] > 0 ? 1 : 0);
  const added = yield* correction(looks, hole.missing, wanted, layers, h, w);
  const nearby = greatestAround(share.map((x, p) => hole.missing[p] ? x : 0), h, w, HALO);
  return channels.map((channel, c) => {
    const [[roughLow, roughHigh], [smoothLow, smoothHigh]] = limits[c];
    return channel.map((x, p) => {
      const low = smoothLow + nearby[p] * (roughLow - smoothLow);
      const high = smoothHigh + nearby[p] * (roughHigh - smoothHigh);
      return Math.min(high, Math.max(low, x + added[c][p] * share[p]));
    });
  });
}

// The greatest number at most `n` rows and columns away.
function greatestAround(values, h, w, n) {
  const across = new Float64Array(h * w);
  const out = new Float64Array(h * w);
  for (let p = 0; p < h * w; p++) {
    const begin = p - p % w;
    const end = Math.min(begin + w - 1, p + n);
    for (let q = Math.max(begin, p - n); q <= end; q++) if (values[q] > across[p]) across[p] = values[q];
  }
  for (let p = 0; p < h * w; p++) {
    const end = Math.min(h * w - 1, p + n * w);
    for (let q = Math.max(p % w, p - n * w); q <= end; q += w) if (across[q] > out[p]) out[p] = across[q];
  }
  return out;
}

function* correct(channels, hole, limits, layers, h, w) {
  const corrected = channels.map(channel => channel.slice());
  const longest = LONGEST.corrected - (Math.max(h, w) > LONGEST.corrected ? 2 * HALO : 0);
  for (const {inner, outer} of blocks(h, w, longest, hole.missing)) {
    const part = {};
    for (const name of ["missing", "pinning", "unseen"]) part[name] = cut(hole[name], w, outer);
    const size = sides(outer);
    const parts = continued(channels.map(channel => cut(channel, w, outer)), part.unseen, ...size);
    const solved = yield* correctBlock(parts, part, limits, layers, ...size);
    solved.forEach((values, c) => paste(corrected[c], w, values, outer, inner));
  }
  return corrected;
}

// ---------------------------------------------------------------- channels in their ranges

// A channel with its seen pixels from 0 to 1, others 0, and the range that they had.
function broughtToRange(channel, hole) {
  let [low, high] = [Infinity, -Infinity];
  channel.forEach((x, p) => { if (hole.pinning[p]) [low, high] = [Math.min(low, x), Math.max(high, x)]; });
  const room = MARGIN * (high - low);
  const clipped = channel.map(x => Math.min(high + room, Math.max(low - room, x)));
  clipped.forEach((x, p) => { if (hole.seen[p]) [low, high] = [Math.min(low, x), Math.max(high, x)]; });
  const span = high - low;
  return {scaled: clipped.map((x, p) => hole.seen[p] && span ? (x - low) / span : 0), low, high, span};
}

// Between which numbers a channel may be filled, for rough and for smooth fills.
function limitsOf({low, high, span}) {
  return ROOMS.map(room => [Math.max(0, low - room * span), Math.min(255, high + room * span)]);
}

// How alike the details of channels are, in shape and size: 1 if equal.
function likeness(channels, hole, h, w) {
  const close = around(hole.missing, h, w, 3 * SEEN);
  const compared = hole.seen.map((x, p) => x & close[p]);
  const all = blocks(h, w, LONGEST.compared, compared);
  const every = Math.ceil(all.length / 8) || 1;
  const products = channels.map(() => channels.map(() => 1e-30));
  for (const {outer} of all.filter((_, n) => n % every == 0)) {
    const size = sides(outer);
    const [at, unseen] = [cut(compared, w, outer), cut(hole.unseen, w, outer)];
    const parts = continued(channels.map(channel => cut(channel, w, outer)), unseen, ...size);
    const detail = localDetail(parts, ...size).detail.map(a => boxMean(a, ...size, 1, "reflect"));
    detail.forEach((a, c) => detail.forEach((b, d) => {
      products[c][d] += at.reduce((sum, x, p) => x ? sum + a[p] * b[p] : sum, 0);
    }));
  }
  return products.map((row, c) => row.map((x, d) => 2 * x / (products[c][c] + products[d][d])));
}

// Which channels are one picture: alike, or alike to one that is.
function pictures(channels, hole, h, w) {
  const alike = likeness(channels, hole, h, w);
  const found = [];
  channels.forEach((_, c) => {
    const near = found.filter(group => group.some(d => alike[c][d] >= ALIKE));
    near.forEach(group => found.splice(found.indexOf(group), 1));
    found.push([...near.flat(), c].sort());
  });
  return found;
}

// What `missing` means for the pixels around it.
function holeOf(missing, h, w) {
  const [near, close] = [around(missing, h, w, SEEN), around(missing, h, w, STENCIL)];
  return {
    missing,
    seen: missing.map((x, p) => near[p] && !x ? 1 : 0),
    pinning: missing.map((x, p) => close[p] && !x ? 1 : 0),
    unseen: opposite(near),
  };
}

// The channels filled by the sheet alone, and with what the network adds to it.
function* fillChannels(channels, missing, layers, h, w) {
  const hole = holeOf(missing, h, w);
  const ranges = channels.map(channel => broughtToRange(channel, hole));
  const alone = ranges.map(range => new Float64Array(h * w).fill(range.low));
  const mended = alone.map(channel => channel.slice());
  const varied = [...ranges.keys()].filter(c => ranges[c].span > 0);
  if (!varied.length) return {alone, mended};
  const limits = ranges.map(limitsOf);
  const surface = yield* fill(varied.map(c => ranges[c].scaled), missing, hole.unseen, h, w);
  varied.forEach((c, n) => {
    const {low, span} = ranges[c];
    const [least, most] = limits[c][1];
    alone[c] = surface[n].map(x => Math.min(most, Math.max(least, low + x * span)));
  });
  const widest = Math.max(...ranges.map(range => range.span));
  const comparable = varied.map(c => alone[c].map(x => (x - ranges[c].low) / widest));
  for (const picture of pictures(comparable, hole, h, w).map(group => group.map(n => varied[n]))) {
    const low = Math.min(...picture.map(c => ranges[c].low));
    const span = Math.max(...picture.map(c => ranges[c].high)) - low;
    const joined = picture.map(c => alone[c].map(x => (x - low) / span));
    const within = picture.map(c => limits[c].map(pair => pair.map(x => (x - low) / span)));
    const corrected = yield* correct(joined, hole, within, layers, h, w);
    picture.forEach((c, n) => { mended[c] = corrected[n].map(x => low + x * span); });
  }
  return {alone, mended};
}

// ---------------------------------------------------------------- a photo

// How far the deepest missing pixel is from a known one.
function depth(missing, h, w) {
  const {distance} = nearest(opposite(missing), h, w);
  return Math.sqrt(places(missing).reduce((most, p) => Math.max(most, distance(p)), 0));
}

// The part of a photo that a fill depends on: of even sides, unless it ends with the photo.
function windowOf(missing, h, w) {
  let [top, bottom, left, right] = [h, 0, w, 0];
  missing.forEach((x, p) => {
    if (!x) return;
    const [i, j] = [Math.floor(p / w), p % w];
    [top, bottom] = [Math.min(top, i), Math.max(bottom, i)];
    [left, right] = [Math.min(left, j), Math.max(right, j)];
  });
  const begin = n => Math.floor(Math.max(0, n - HALO) / 2) * 2;
  const end = (n, side) => Math.min(side, Math.floor((n + HALO) / 2) * 2 + 2);
  return {top: begin(top), bottom: end(bottom, h), left: begin(left), right: end(right, w)};
}

// Fill the missing pixels of a photo, bytes of red, green, blue. At least one pixel must be known.
// Returns such bytes twice: filled by the sheet `alone`, and `mended`.
function* inpaint(photo, missing, h, w, layers) {
  const filled = {alone: photo.slice(), mended: photo.slice()};
  if (!missing.includes(1)) return filled;
  const box = windowOf(missing, h, w);
  const channels = [0, 1, 2].map(c => {
    return cut(Float64Array.from({length: h * w}, (_, p) => photo[3 * p + c]), w, box);
  });
  const parts = yield* fillChannels(channels, cut(missing, w, box), layers, ...sides(box));
  const wide = box.right - box.left;
  missing.forEach((x, p) => {
    if (!x) return;
    const at = (Math.floor(p / w) - box.top) * wide + p % w - box.left;
    for (let c = 0; c < 3; c++) {
      filled.alone[3 * p + c] = Math.round(parts.alone[c][at]);
      filled.mended[3 * p + c] = Math.round(parts.mended[c][at]);
    }
  });
  return filled;
}

return {inpaint, depth, localDetail, correction, network, finish};
})();
