// Page 12: what repeats around a wide hole goes on in it, as `continue_waves` of cadl_flax/correcting.py
// makes it. The waves of a window are found by Fourier transforms of 32 by 32 numbers.
// needs: sheet
"use strict";
const lift = (() => {

const {places, opposite, around} = sheet;
const CELL = 4; // pixels, along the side of what a window is looked at for
const WINDOW = 32; // pixels, along the side of what waves are fitted to
const EDGE = (WINDOW - CELL) / 2; // pixels, of a window around its cell
const NARROWEST = 7; // pixels: the smallest width of a hole that waves go on in
const STEP = 2; // pixels that they go on at a time
const DEEPEST = 14; // pixels: how far they go
const ROUNDS = 30;
const N = WINDOW * WINDOW;

// ---------------------------------------------------------------- Fourier transforms

const REVERSED = Array.from({length: WINDOW}, (_, i) => {
  let reversed = 0;
  for (let bit = 1; bit < WINDOW; bit *= 2) reversed = 2 * reversed + (i & bit ? 1 : 0);
  return reversed;
});
const COS = Float64Array.from({length: WINDOW}, (_, k) => Math.cos(2 * Math.PI * k / WINDOW));
const SIN = Float64Array.from({length: WINDOW}, (_, k) => Math.sin(2 * Math.PI * k / WINDOW));

// The transform of WINDOW complex numbers, `by` places apart, from `at` on. The sign of the exponent is -1
// there, and 1 back, without a division.
function transformLine(re, im, at, by, sign) {
  for (let i = 0; i < WINDOW; i++) {
    const j = REVERSED[i];
    if (j <= i) continue;
    const [p, q] = [at + i * by, at + j * by];
    const [x, y] = [re[p], im[p]];
    re[p] = re[q];
    im[p] = im[q];
    re[q] = x;
    im[q] = y;
  }
  for (let half = 1; half < WINDOW; half *= 2) {
    const turn = WINDOW / (2 * half);
    for (let k = 0; k < half; k++) {
      const c = COS[k * turn];
      const s = sign * SIN[k * turn];
      for (let i = k; i < WINDOW; i += 2 * half) {
        const p = at + i * by;
        const q = p + half * by;
        const x = re[q] * c - im[q] * s;
        const y = re[q] * s + im[q] * c;
        re[q] = re[p] - x;
        im[q] = im[p] - y;
        re[p] += x;
        im[p] += y;
      }
    }
  }
}

function transform(re, im, sign) {
  for (let i = 0; i < WINDOW; i++) transformLine(re, im, i * WINDOW, 1, sign);
  for (let j = 0; j < WINDOW; j++) transformLine(re, im, j, WINDOW, sign);
}

// ---------------------------------------------------------------- the waves of a window

const HALF = WINDOW / 2 + 1; // columns of a spectrum; the others are their mirror images
const MIRROR = Int32Array.from({length: N}, (_, k) => {
  const [i, j] = [Math.floor(k / WINDOW), k % WINDOW];
  return (WINDOW - i) % WINDOW * WINDOW + (WINDOW - j) % WINDOW;
});
const SLOW = Float64Array.from({length: N}, (_, k) => {
  const [i, j] = [Math.floor(k / WINDOW), k % WINDOW].map(n => Math.min(n, WINDOW - n) / WINDOW);
  return (1 - Math.SQRT2 * Math.hypot(i, j)) ** 2;
});
const NEARNESS = Float64Array.from({length: N}, (_, k) => {
  const middle = (WINDOW - 1) / 2;
  return .7 ** Math.hypot(Math.floor(k / WINDOW) - middle, k % WINDOW - middle);
});

// Which waves are peaks of the power that are not much lower than the highest: 1, or 0. A wave in the middle
// columns is asked for without its mirror image, of which it is half then.
function peaksOf(power, highest, peaks) {
  const most = power.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < WINDOW; i++) { // the highest of five columns
    for (let j = 0; j < HALF; j++) {
      let high = 0;
      for (let x = Math.max(0, j - 2); x <= Math.min(HALF - 1, j + 2); x++) {
        high = Math.max(high, power[i * WINDOW + x]);
      }
      highest[i * WINDOW + j] = high;
    }
  }
  peaks.fill(0);
  for (let i = 0; i < WINDOW; i++) {
    for (let j = 0; j < HALF; j++) {
      const k = i * WINDOW + j;
      if (power[k] <= .3 * most) continue;
      let high = 0;
      for (let y = i - 2; y <= i + 2; y++) high = Math.max(high, highest[(y + WINDOW) % WINDOW * WINDOW + j]);
      if (power[k] < .9999 * high) continue;
      const share = j % (HALF - 1) ? 1 : .5;
      peaks[k] += share;
      peaks[MIRROR[k]] += share;
    }
  }
}

// A sum of few waves, the same for all channels but for their strength, near the values where they have
// weight. Two channels are one complex picture: a wave is a peak together with its mirror image, so each
// channel keeps to itself.
function strongestWaves(values, weight) {
  const pairs = [];
  for (let c = 0; c < values.length; c += 2) {
    const weighted = [values[c], values[c + 1]].map(channel => {
      return channel ? channel.map((x, k) => x * weight[k]) : new Float64Array(N);
    });
    const wave = [new Float64Array(N), new Float64Array(N)]; // its spectrum, at first
    pairs.push({residual: weighted, wave, total: [new Float64Array(N), new Float64Array(N)]});
  }
  const [power, highest, peaks] = [0, 0, 0].map(() => new Float64Array(N));
  for (let round = 0; round < ROUNDS; round++) {
    power.fill(0);
    for (const {residual, wave: [re, im]} of pairs) {
      re.set(residual[0]);
      im.set(residual[1]);
      transform(re, im, -1);
      for (let k = 0; k < N; k++) power[k] += re[k] ** 2 + im[k] ** 2;
    }
    for (let k = 0; k < N; k++) { // of both channels of a pair
      const m = MIRROR[k];
      if (m >= k) power[k] = power[m] = SLOW[k] * (power[k] + power[m]) / 2;
    }
    peaksOf(power, highest, peaks);
    let [explained, length] = [0, 0];
    for (const {residual, wave: [re, im]} of pairs) {
      for (let k = 0; k < N; k++) {
        re[k] *= peaks[k];
        im[k] *= peaks[k];
      }
      transform(re, im, 1);
      for (let k = 0; k < N; k++) {
        explained += residual[0][k] * re[k] + residual[1][k] * im[k];
        length += weight[k] * (re[k] ** 2 + im[k] ** 2);
      }
    }
    const share = length ? .5 * explained / length : 0;
    for (const {residual, wave, total} of pairs) {
      for (let part = 0; part < 2; part++) {
        for (let k = 0; k < N; k++) {
          total[part][k] += share * wave[part][k];
          residual[part][k] -= share * weight[k] * wave[part][k];
        }
      }
    }
  }
  return pairs.flatMap(pair => pair.total).slice(0, values.length);
}

// ---------------------------------------------------------------- into a hole

// The missing pixels that are part of a missing square of NARROWEST pixels.
function wideHoles(missing, h, w) {
  const reach = (NARROWEST - 1) / 2;
  const cores = opposite(around(opposite(missing), h, w, reach));
  const wide = around(cores, h, w, reach);
  return missing.map((x, p) => x & wide[p]);
}

// How many rows or columns the nearest seen pixel is away, for the wide pixels that waves reach; others 0.
function depths(wide, seen, h, w) {
  const found = new Uint8Array(h * w);
  for (let depth = DEEPEST; depth > 0; depth--) {
    const near = around(seen, h, w, depth);
    for (let p = 0; p < h * w; p++) if (wide[p] && near[p]) found[p] = depth;
  }
  return found;
}

// The window around a cell, of one channel: zero beyond the border.
function windowAt(values, top, left, h, w) {
  const out = new Float64Array(N);
  for (let i = 0; i < WINDOW; i++) {
    const y = top - EDGE + i;
    if (y < 0 || y >= h) continue;
    for (let j = 0; j < WINDOW; j++) {
      const x = left - EDGE + j;
      if (x >= 0 && x < w) out[i * WINDOW + j] = values[y * w + x];
    }
  }
  return out;
}

// What the waves around a cell are in its window, channel by channel, in the range of what counts.
function wavesIn(channels, trust, top, left, h, w) {
  const trusted = windowAt(trust, top, left, h, w);
  const weight = trusted.map((x, k) => x * NEARNESS[k]);
  const total = weight.reduce((a, b) => a + b);
  const values = channels.map(channel => windowAt(channel, top, left, h, w));
  const waves = strongestWaves(values, weight.map(x => x / total));
  return values.map((channel, c) => {
    let [low, high] = [Infinity, -Infinity];
    channel.forEach((x, k) => { if (trusted[k]) [low, high] = [Math.min(low, x), Math.max(high, x)]; });
    return waves[c].map(x => Math.min(high, Math.max(low, x)));
  });
}

// How far the waves around a hole lift its fill, if they go on in it; zero outside of wide holes.
function* continueWaves(filled, missing, seen, h, w) {
  const lifted = filled.map(() => new Float64Array(h * w));
  const wide = wideHoles(missing, h, w);
  if (!wide.includes(1) || !seen.includes(1)) return lifted;
  const depth = depths(wide, seen, h, w);
  const channels = filled.map(channel => channel.map((x, p) => seen[p] ? x : 0));
  const trust = Float64Array.from(seen);
  for (let begin = 0; begin < DEEPEST; begin += STEP) {
    const layer = places(depth.map(d => d > begin && d <= begin + STEP ? 1 : 0));
    const cells = new Map(); // the layer's pixels of each cell
    for (const p of layer) {
      const [i, j] = [Math.floor(p / w), p % w];
      const cell = `${i - i % CELL} ${j - j % CELL}`;
      cells.set(cell, [...cells.get(cell) ?? [], p]);
    }
    const found = [];
    for (const [cell, pixels] of cells) {
      const [top, left] = cell.split(" ").map(Number);
      const waves = wavesIn(channels, trust, top, left, h, w);
      for (const p of pixels) {
        const at = (Math.floor(p / w) - top + EDGE) * WINDOW + p % w - left + EDGE;
        found.push([p, waves.map(wave => wave[at])]);
      }
      yield;
    }
    for (const [p, colour] of found) {
      channels.forEach((channel, c) => { channel[p] = colour[c]; });
      trust[p] = .5;
    }
  }
  places(depth).forEach(p => {
    const share = Math.min(1, (DEEPEST + 1 - depth[p]) / 5);
    lifted.forEach((channel, c) => { channel[p] = (channels[c][p] - filled[c][p]) * share; });
  });
  return lifted;
}

return {strongestWaves, continueWaves};
})();
