// Page 12: the sheet that bends at the edge of a hole and stretches inside it, as `sheet` of
// cadl_flax/correcting.py and `_fill` of cadl_flax/inpainting.py make it; here conjugate gradients solve
// its equations.
//
// A channel is a Float64Array of h * w numbers, pixels are a Uint8Array of zeros and ones. What may take
// long is a generator that yields now and then, so that a page stays alive.
"use strict";
const sheet = (() => {

const HALO = 24; // pixels around a block that are seen
const COARSEST = 8; // pixels along the side of the squares that blocks are made of
const LONGEST = 176; // pixels along the side of a block
const ENOUGH = 1e-12; // by how much conjugate gradients make the square of the residual smaller

// ---------------------------------------------------------------- pixels

// Where the pixels are that are not zero.
function places(pixels) {
  const found = new Int32Array(pixels.length);
  let n = 0;
  for (let p = 0; p < pixels.length; p++) if (pixels[p]) found[n++] = p;
  return found.slice(0, n);
}

function opposite(pixels) {
  return pixels.map(x => 1 - x);
}

// What is at most `n` rows and columns from one of the pixels, they among it.
function around(pixels, h, w, n) {
  const wide = new Uint8Array(h * w);
  const out = new Uint8Array(h * w);
  for (let p = 0; p < h * w; p++) {
    if (!pixels[p]) continue;
    const begin = p - p % w;
    wide.fill(1, Math.max(p - n, begin), Math.min(p + n + 1, begin + w));
  }
  for (let p = 0; p < h * w; p++) {
    if (!wide[p]) continue;
    const last = Math.min(h * w - 1, p + n * w);
    for (let q = Math.max(p % w, p - n * w); q <= last; q += w) out[q] = 1;
  }
  return out;
}

// Begin and end of the pieces of a side: about equal, beginning at multiples of 8.
function cuts(side, longest) {
  const n = Math.ceil(side / longest);
  const begins = Array.from({length: n}, (_, i) => COARSEST * Math.ceil(i * side / (COARSEST * n)));
  return begins.map((begin, i) => [begin, begins[i + 1] ?? side]);
}

// Blocks with one of the pixels in them: where each begins and ends, and the same with its halo.
function blocks(h, w, longest, pixels, halo = HALO) {
  const found = [];
  for (const [top, bottom] of cuts(h, longest)) {
    for (const [left, right] of cuts(w, longest)) {
      const inner = {top, bottom, left, right};
      const outer = {
        top: Math.max(0, top - halo),
        bottom: Math.min(h, bottom + halo),
        left: Math.max(0, left - halo),
        right: Math.min(w, right + halo),
      };
      if (cut(pixels, w, inner).some(Boolean)) found.push({inner, outer});
    }
  }
  return found;
}

const sides = box => [box.bottom - box.top, box.right - box.left];

// The part of a channel, or of pixels, within a box.
function cut(values, w, {top, bottom, left, right}) {
  const part = new values.constructor((bottom - top) * (right - left));
  for (let i = top, k = 0; i < bottom; i++, k += right - left) {
    part.set(values.subarray(i * w + left, i * w + right), k);
  }
  return part;
}

// Write what `part`, cut out along `outer`, has within `inner`.
function paste(values, w, part, outer, inner) {
  const [, wide] = sides(outer);
  for (let i = inner.top; i < inner.bottom; i++) {
    const from = (i - outer.top) * wide + inner.left - outer.left;
    values.set(part.subarray(from, from + inner.right - inner.left), i * w + inner.left);
  }
}

// A function from a pixel to the square of its distance from the nearest of `pixels`, and one that adds
// those that are as near as that, of which there may be several, to `ties`.
function nearest(pixels, h, w) {
  const gap = new Float64Array(h * w).fill(Infinity); // to the nearest in the same column
  for (let p = 0; p < h * w; p++) gap[p] = pixels[p] ? 0 : p < w ? Infinity : gap[p - w] + 1;
  for (let p = h * w - 1 - w; p >= 0; p--) gap[p] = Math.min(gap[p], gap[p + w] + 1);
  function distance(p) {
    const j = p % w;
    let best = Infinity;
    for (let across = 0; across < w && across * across < best; across++) {
      const left = across > j ? Infinity : gap[p - across];
      const right = across + j < w ? gap[p + across] : Infinity;
      const along = Math.min(left, right);
      best = Math.min(best, across * across + along * along);
    }
    return best;
  }
  function addTies(ties, p, best) {
    const begin = p - p % w;
    const reach = Math.floor(Math.sqrt(best));
    const end = Math.min(begin + w - 1, p + reach);
    for (let q = Math.max(begin, p - reach); q <= end; q++) {
      if ((q - p) ** 2 + gap[q] ** 2 != best) continue;
      const [above, below] = [q - gap[q] * w, q + gap[q] * w];
      if (pixels[above]) ties.push(above);
      if (pixels[below] && below != above) ties.push(below);
    }
  }
  return {distance, addTies};
}

// Channels whose `unseen` pixels have the colour of the nearest other, or the mean of such.
function continued(channels, unseen, h, w) {
  const {distance, addTies} = nearest(opposite(unseen), h, w);
  const out = channels.map(channel => channel.slice());
  const ties = [];
  for (const p of places(unseen)) {
    const best = distance(p);
    if (best == Infinity) break; // there is no other
    ties.length = 0;
    addTies(ties, p, best);
    for (let c = 0; c < channels.length; c++) {
      let sum = 0;
      for (let k = 0; k < ties.length; k++) sum += channels[c][ties[k]];
      out[c][p] = sum / ties.length;
    }
  }
  return out;
}

// ---------------------------------------------------------------- the sheet

// The plane nearest to the known pixels, by least squares, for each channel.
function fitPlane(channels, known, h, w) {
  const at = places(known);
  const row = p => Math.floor(p / w);
  const mean = of => at.reduce((sum, p) => sum + of(p), 0) / at.length;
  const [ci, cj] = [mean(row), mean(p => p % w)];
  // as if each known pixel were there again, level, five pixels away on each axis
  const ii = 25 + mean(p => (row(p) - ci) ** 2);
  const jj = 25 + mean(p => (p % w - cj) ** 2);
  const ij = mean(p => (row(p) - ci) * (p % w - cj));
  return channels.map(channel => {
    const middle = mean(p => channel[p]);
    const ri = mean(p => (row(p) - ci) * (channel[p] - middle));
    const rj = mean(p => (p % w - cj) * (channel[p] - middle));
    const down = (jj * ri - ij * rj) / (ii * jj - ij * ij);
    const right = (ii * rj - ij * ri) / (ii * jj - ij * ij);
    return channel.map((_, p) => middle + (row(p) - ci) * down + (p % w - cj) * right);
  });
}

// What bending squares and adds: taps [down, right, factor], a weight, and where it lies.
function bendingTerms(h, w) {
  const atRowBorder = i => i == 0 || i == h - 2;
  const atColumnBorder = j => j == 0 || j == w - 2;
  const always = () => true;
  return [
    {taps: [[0, 0, 1], [1, 0, -2], [2, 0, 1]], weight: 1, lies: always},
    {taps: [[0, 0, 1], [0, 1, -2], [0, 2, 1]], weight: 1, lies: always},
    {taps: [[0, 0, 1], [0, 1, -1], [1, 0, -1], [1, 1, 1]], weight: 2, lies: always},
    {taps: [[0, 0, -1], [1, 0, 1]], weight: 1, lies: i => atRowBorder(i)},
    {taps: [[0, 0, -1], [0, 1, 1]], weight: 1, lies: (i, j) => atColumnBorder(j)},
  ];
}

// What stretching squares and adds, in the same form.
function stretchingTerms() {
  const always = () => true;
  return [
    {taps: [[0, 0, -1], [1, 0, 1]], weight: 1, lies: always},
    {taps: [[0, 0, -1], [0, 1, 1]], weight: 1, lies: always},
  ];
}

// The rows of the matrix of an energy, of the missing pixels: row e has the entries start[e] to
// start[e + 1].
function rowsOf(terms, missing, h, w) {
  const unknown = places(missing);
  const start = new Int32Array(unknown.length + 1);
  const columns = new Int32Array(13 * unknown.length + 25);
  const factors = new Float64Array(columns.length);
  const diagonal = new Float64Array(unknown.length);
  const row = new Float64Array(25); // 5 by 5 around the pixel
  let n = 0;
  unknown.forEach((p, e) => {
    const [i, j] = [Math.floor(p / w), p % w];
    row.fill(0);
    for (const term of terms) addTerm(row, term, i, j, h, w);
    for (let k = 0; k < 25; k++) {
      if (!row[k]) continue;
      columns[n] = p + (Math.floor(k / 5) - 2) * w + k % 5 - 2;
      factors[n++] = row[k];
    }
    diagonal[e] = row[12];
    start[e + 1] = n;
  });
  return {unknown, start, columns, factors, diagonal};
}

function addTerm(row, {taps, weight, lies}, i, j, h, w) {
  const [down, right] = taps.at(-1); // the tap that reaches furthest
  for (const [di, dj, factor] of taps) {
    const [oi, oj] = [i - di, j - dj];
    if (oi < 0 || oj < 0 || oi + down >= h || oj + right >= w || !lies(oi, oj)) continue;
    for (const [ei, ej, other] of taps) row[(2 + ei - di) * 5 + 2 + ej - dj] += weight * factor * other;
  }
}

// The product of the rows with a channel.
function multiply({unknown, start, columns, factors}, channel, out) {
  for (let e = 0; e < unknown.length; e++) {
    let sum = 0;
    for (let k = start[e]; k < start[e + 1]; k++) sum += factors[k] * channel[columns[k]];
    out[e] = sum;
  }
}

// Fill the unknown pixels of a surface by conjugate gradients: the first guess is what is there.
function* relax(rows, surface) {
  const {unknown, diagonal} = rows;
  const n = unknown.length;
  const direction = new Float64Array(surface.length); // stays 0 at known pixels, so they do not move
  const product = new Float64Array(n);
  const residual = new Float64Array(n);
  multiply(rows, surface, residual);
  let power = 0;
  for (let e = 0; e < n; e++) {
    residual[e] *= -1;
    direction[unknown[e]] = residual[e] / diagonal[e];
    power += residual[e] ** 2 / diagonal[e];
  }
  const enough = ENOUGH * power;
  for (let t = 0; t < 4 * n + 100 && power > enough; t++) {
    multiply(rows, direction, product);
    let curvature = 0;
    for (let e = 0; e < n; e++) curvature += product[e] * direction[unknown[e]];
    const step = power / curvature;
    let next = 0;
    for (let e = 0; e < n; e++) {
      surface[unknown[e]] += step * direction[unknown[e]];
      residual[e] -= step * product[e];
      next += residual[e] ** 2 / diagonal[e];
    }
    const kept = next / power;
    for (let e = 0; e < n; e++) {
      direction[unknown[e]] = residual[e] / diagonal[e] + kept * direction[unknown[e]];
    }
    power = next;
    yield;
  }
}

// Fill the missing pixels so that the sheet bends least.
function* bend(channels, missing, h, w) {
  const known = opposite(missing);
  const planes = fitPlane(channels, known, h, w);
  const rows = rowsOf(bendingTerms(h, w), missing, h, w);
  const filled = [];
  for (const [c, channel] of channels.entries()) {
    const plane = planes[c];
    const surface = channel.map((x, p) => known[p] ? x - plane[p] : 0);
    yield* relax(rows, surface);
    filled.push(channel.map((x, p) => known[p] ? x : surface[p] + plane[p]));
  }
  return filled;
}

// Fill the missing pixels with the surface that is stretched least, above the nearest plane. What they
// hold is the first guess.
function* stretch(channels, missing, h, w) {
  const planes = fitPlane(channels, opposite(missing), h, w);
  const rows = rowsOf(stretchingTerms(), missing, h, w);
  const filled = [];
  for (const [c, channel] of channels.entries()) {
    const plane = planes[c];
    const surface = channel.map((x, p) => x - plane[p]);
    yield* relax(rows, surface);
    filled.push(channel.map((x, p) => missing[p] ? surface[p] + plane[p] : x));
  }
  return filled;
}

// The pixels all of whose neighbours are among them too, as far as the picture goes.
function erode(pixels, h, w) {
  return opposite(around(opposite(pixels), h, w, 1));
}

// Bend at the edge of a hole, stretch inside it: the fill, and how far that pulls it.
function* sheet(channels, missing, h, w) {
  const bent = yield* bend(channels, missing, h, w);
  const filled = yield* stretch(bent, erode(missing, h, w), h, w);
  const pull = filled.map((channel, c) => channel.map((x, p) => x - bent[c][p]));
  return {filled, pull};
}

// The same over a block, whatever is at its unseen pixels.
function* sheetOfBlock(channels, missing, unseen, h, w) {
  const seen = missing.map((x, p) => x || unseen[p] ? 0 : 1);
  if (!seen.includes(1)) return yield* sheet(channels, missing, h, w);
  const planes = fitPlane(channels, seen, h, w);
  const levelled = channels.map((channel, c) => channel.map((x, p) => unseen[p] ? planes[c][p] : x));
  return yield* sheet(levelled, missing, h, w);
}

// Sums over squares of 2 by 2 pixels.
function halve(values, h, w) {
  const wide = Math.ceil(w / 2);
  const out = new Float64Array(Math.ceil(h / 2) * wide);
  for (let p = 0; p < h * w; p++) out[(Math.floor(p / w) >> 1) * wide + (p % w >> 1)] += values[p];
  return out;
}

// Fill the far pixels of `filled` from the picture of half the size, and those of `pull`.
function* fillFromHalfSize(filled, pull, missing, far, unseen, h, w) {
  const [high, wide] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const seen = missing.map((x, p) => x || unseen[p] ? 0 : 1);
  const nSeen = halve(seen, h, w);
  const nKnown = halve(opposite(missing), h, w);
  const sums = filled.map(channel => halve(channel.map((x, p) => seen[p] ? x : 0), h, w));
  const means = sums.map(sum => sum.map((x, p) => x / Math.max(1, nSeen[p])));
  const whole = continued(means, Uint8Array.from(nSeen, n => n == 0), high, wide);
  const gone = Uint8Array.from(nKnown, n => n == 0);
  const coarse = yield* fill(whole, gone, new Uint8Array(high * wide), high, wide);
  for (let p = 0; p < h * w; p++) {
    if (!far[p]) continue;
    const [y, x] = [(Math.floor(p / w) - .5) / 2, (p % w - .5) / 2];
    for (let c = 0; c < filled.length; c++) {
      filled[c][p] = between(coarse.filled[c], y, x, high, wide);
      pull[c][p] = between(coarse.pull[c], y, x, high, wide);
    }
  }
}

// A channel between four pixels, and beyond its border that at the border.
function between(channel, y, x, h, w) {
  const [i, j] = [Math.floor(y), Math.floor(x)];
  const at = (i, j) => channel[Math.min(h - 1, Math.max(0, i)) * w + Math.min(w - 1, Math.max(0, j))];
  const [down, right] = [y - i, x - j];
  const above = (1 - right) * at(i, j) + right * at(i, j + 1);
  const below = (1 - right) * at(i + 1, j) + right * at(i + 1, j + 1);
  return (1 - down) * above + down * below;
}

// Fill and pull of the sheet, in blocks. What is deep inside a hole comes from the picture of half the
// size first, and counts as known from then on.
function* fill(channels, missing, unseen, h, w) {
  const filled = channels.map(channel => channel.slice());
  const pull = channels.map(() => new Float64Array(h * w));
  const {distance} = nearest(opposite(missing), h, w);
  const far = missing.map((x, p) => x && distance(p) > (HALO / 2) ** 2 ? 1 : 0);
  if (far.includes(1)) yield* fillFromHalfSize(filled, pull, missing, far, unseen, h, w);
  const near = missing.map((x, p) => x && !far[p] ? 1 : 0);
  for (const {inner, outer} of blocks(h, w, LONGEST, near)) {
    const parts = [...filled, ...pull].map(channel => cut(channel, w, outer));
    const [values, pulled] = [parts.slice(0, channels.length), parts.slice(channels.length)];
    const nearby = cut(near, w, outer);
    const solved = yield* sheetOfBlock(values, nearby, cut(unseen, w, outer), ...sides(outer));
    for (let c = 0; c < channels.length; c++) {
      for (const p of places(nearby)) pulled[c][p] = solved.pull[c][p]; // far ones keep theirs
      paste(filled[c], w, solved.filled[c], outer, inner);
      paste(pull[c], w, pulled[c], outer, inner);
    }
  }
  return {filled, pull};
}

return {
  HALO, COARSEST, places, opposite, around, blocks, sides, cut, paste, nearest, continued,
  bend, stretch, sheet, fill,
};
})();
