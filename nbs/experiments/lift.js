// Page 12: what repeats around a wide hole goes on in it, as `continue_waves` of cadl_flax/correcting.py
// makes it. The waves of a window are found by Fourier transforms of 40 by 40 numbers.
// needs: sheet
"use strict";
const lift = (() => {

const {places, opposite, around} = sheet;
const CELL = 4; // pixels, along the side of what a window is looked at for
const WINDOW = 40; // pixels, along the side of what waves are fitted to
const EDGE = (WINDOW - CELL) / 2; // pixels, of a window around its cell
const NARROWEST = 7; // pixels: the smallest width of a hole that waves go on in
const STEP = 2; // pixels that they go on at a time
const DEEPEST = 18; // pixels: how far they go
const RING = 4; // pixels around a wide hole in which waves are put to the test
const ROUNDS = 40;
const N = WINDOW * WINDOW;

// ---------------------------------------------------------------- Fourier transforms

const COS = Float64Array.from({length: WINDOW}, (_, k) => Math.cos(2 * Math.PI * k / WINDOW));
const SIN = Float64Array.from({length: WINDOW}, (_, k) => Math.sin(2 * Math.PI * k / WINDOW));
// Which number comes where, so that the numbers of each short transform stand beside each other: of five, and
// then of twice as many, three times.
const ORDER = [2, 2, 2].reduce((groups, factor) => groups.flatMap(group => {
  return Array.from({length: factor}, (_, m) => group.filter((_, i) => i % factor === m));
}), [Array.from({length: WINDOW}, (_, i) => i)]).flat();
const LINE = [new Float64Array(WINDOW), new Float64Array(WINDOW)];

// The transform of WINDOW complex numbers, `by` places apart, from `at` on.
function transformLine(re, im, at, by) {
  const [x, y] = LINE;
  for (let i = 0; i < WINDOW; i++) {
    x[i] = re[at + ORDER[i] * by];
    y[i] = im[at + ORDER[i] * by];
  }
  for (let begin = 0; begin < WINDOW; begin += 5) transformFive(x, y, begin);
  for (let size = 5; size < WINDOW; size *= 2) {
    for (let k = 0; k < size; k++) {
      const turn = k * (WINDOW / (2 * size));
      const [c, s] = [COS[turn], SIN[turn]];
      for (let p = k; p < WINDOW; p += 2 * size) {
        const q = p + size;
        const a = x[q] * c + y[q] * s;
        const b = y[q] * c - x[q] * s;
        x[q] = x[p] - a;
        y[q] = y[p] - b;
        x[p] += a;
        y[p] += b;
      }
    }
  }
  for (let i = 0; i < WINDOW; i++) {
    re[at + i * by] = x[i];
    im[at + i * by] = y[i];
  }
}

// The transform of five numbers: of the second and the fifth, as of the third and the fourth, cosines take the
// sum, and sines the difference.
function transformFive(x, y, p) {
  const [c1, c2, s1, s2] = [COS[WINDOW / 5], COS[2 * WINDOW / 5], SIN[WINDOW / 5], SIN[2 * WINDOW / 5]];
  const [x0, y0] = [x[p], y[p]];
  const [a, b, d, e] = [x[p + 1] + x[p + 4], x[p + 2] + x[p + 3], x[p + 1] - x[p + 4], x[p + 2] - x[p + 3]];
  const [f, g, h, i] = [y[p + 1] + y[p + 4], y[p + 2] + y[p + 3], y[p + 1] - y[p + 4], y[p + 2] - y[p + 3]];
  x[p] += a + b;
  y[p] += f + g;
  const [near, far] = [x0 + c1 * a + c2 * b, x0 + c2 * a + c1 * b];
  const [high, low] = [y0 + c1 * f + c2 * g, y0 + c2 * f + c1 * g];
  x[p + 1] = near + s1 * h + s2 * i;
  x[p + 4] = near - s1 * h - s2 * i;
  x[p + 2] = far + s2 * h - s1 * i;
  x[p + 3] = far - s2 * h + s1 * i;
  y[p + 1] = high - s1 * d - s2 * e;
  y[p + 4] = high + s1 * d + s2 * e;
  y[p + 2] = low - s2 * d + s1 * e;
  y[p + 3] = low + s2 * d - s1 * e;
}

function transform(re, im) {
  for (let i = 0; i < WINDOW; i++) transformLine(re, im, i * WINDOW, 1);
  for (let j = 0; j < WINDOW; j++) transformLine(re, im, j, WINDOW);
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
const MIDDLE = (WINDOW - 1) / 2;
const NEARNESS = Float64Array.from({length: N}, (_, k) => {
  return .7 ** Math.hypot(Math.floor(k / WINDOW) - MIDDLE, k % WINDOW - MIDDLE);
});

// How many waves per pixel there are, down and across, where the power is highest: between the frequencies of
// the transform, at the top of a parabola through three logarithms.
function peakOf(power) {
  let highest = 0;
  for (let i = 0; i < WINDOW; i++) {
    for (let j = 0; j < HALF; j++) {
      const k = i * WINDOW + j;
      if (power[k] * SLOW[k] > power[highest] * SLOW[highest]) highest = k;
    }
  }
  if (!highest) return [0, 0];
  const [i, j] = [Math.floor(highest / WINDOW), highest % WINDOW];
  const height = (down, across) => {
    const k = (i + down + WINDOW) % WINDOW * WINDOW + (j + across + WINDOW) % WINDOW;
    return Math.log(Math.max(power[k], 1e-37));
  };
  return [[1, 0], [0, 1]].map(([down, across], axis) => {
    const [before, top, after] = [-1, 0, 1].map(s => height(s * down, s * across));
    const curvature = Math.min(before - 2 * top + after, -1e-3);
    const offset = Math.min(.5, Math.max(-.5, .5 * (before - after) / curvature));
    const nearest = axis || i < WINDOW / 2 ? [i, j][axis] : i - WINDOW;
    return (nearest + offset) / WINDOW;
  });
}

// The power of all channels' spectra together. Two channels are transformed as one complex picture.
function powerOf(channels, power, re, im) {
  power.fill(0);
  for (let c = 0; c < channels.length; c += 2) {
    re.set(channels[c]);
    if (channels[c + 1]) im.set(channels[c + 1]); else im.fill(0);
    transform(re, im);
    for (let k = 0; k < N; k++) power[k] += re[k] ** 2 + im[k] ** 2;
  }
  for (let k = 0; k < N; k++) { // of both channels of a pair
    const m = MIRROR[k];
    if (m >= k) power[k] = power[m] = (power[k] + power[m]) / 2;
  }
}

// A wave along a side of a window, counted from its middle.
function turnsOf(frequency) {
  const turns = Float64Array.from({length: WINDOW}, (_, i) => 2 * Math.PI * frequency * (i - MIDDLE));
  return {cos: turns.map(Math.cos), sin: turns.map(Math.sin)};
}

// A sum of few waves, the same for all channels but for their strength, near the values where they have
// weight.
function strongestWaves(values, weight) {
  const left = values.map(channel => channel.map((x, k) => x * weight[k])); // not explained, and weighted
  const total = values.map(() => new Float64Array(N));
  const [power, re, im, cosine, sine] = [0, 0, 0, 0, 0].map(() => new Float64Array(N));
  for (let round = 0; round < ROUNDS; round++) {
    powerOf(left, power, re, im);
    const [down, across] = peakOf(power);
    const [rows, columns] = [down, across].map(turnsOf);
    let [cc, cs, ss] = [1e-3, 0, 1e-3]; // slightly damped: the sine of no frequency is zero
    for (let k = 0; k < N; k++) {
      const [i, j] = [Math.floor(k / WINDOW), k % WINDOW];
      const c = rows.cos[i] * columns.cos[j] - rows.sin[i] * columns.sin[j];
      const s = rows.sin[i] * columns.cos[j] + rows.cos[i] * columns.sin[j];
      cosine[k] = c;
      sine[k] = s;
      cc += weight[k] * c * c;
      cs += weight[k] * c * s;
      ss += weight[k] * s * s;
    }
    const determinant = cc * ss - cs * cs;
    left.forEach((channel, number) => {
      let [c, s] = [0, 0];
      for (let k = 0; k < N; k++) {
        c += cosine[k] * channel[k];
        s += sine[k] * channel[k];
      }
      const [ofCosine, ofSine] = [.7 * (ss * c - cs * s) / determinant, .7 * (cc * s - cs * c) / determinant];
      for (let k = 0; k < N; k++) {
        const part = ofCosine * cosine[k] + ofSine * sine[k];
        total[number][k] += part;
        channel[k] -= weight[k] * part;
      }
    });
  }
  return total;
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

// Fill pixels with the waves around them, cell by cell.
function* stepInwards(channels, trust, layer, h, w) {
  const cells = new Map(); // the layer's pixels of each cell
  for (const p of places(layer)) {
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

// The seen pixels of each channel, others zero.
function seenOf(channels, seen) {
  return channels.map(channel => channel.map((x, p) => seen[p] ? x : 0));
}

// How far the waves around a hole lift its fill, if they go on in it; zero outside of wide holes.
function* continueWaves(filled, missing, seen, h, w) {
  const lifted = filled.map(() => new Float64Array(h * w));
  const wide = wideHoles(missing, h, w);
  if (!wide.includes(1) || !seen.includes(1)) return lifted;
  const depth = depths(wide, seen, h, w);
  const channels = seenOf(filled, seen);
  const trust = Float64Array.from(seen);
  for (let begin = 0; begin < DEEPEST; begin += STEP) {
    yield* stepInwards(channels, trust, depth.map(d => d > begin && d <= begin + STEP ? 1 : 0), h, w);
  }
  places(depth).forEach(p => {
    const share = Math.min(1, (DEEPEST + 1 - depth[p]) / 5);
    lifted.forEach((channel, c) => { channel[p] = (channels[c][p] - filled[c][p]) * share; });
  });
  return lifted;
}

// By how much waves miss known pixels around wide holes, if those are hidden; zero where that is not tested.
function* waveErrors(filled, missing, seen, h, w) {
  const near = around(wideHoles(missing, h, w), h, w, RING);
  const ring = seen.map((x, p) => x & near[p]);
  const outside = seen.map((x, p) => x & ~ring[p]);
  const reached = around(outside, h, w, EDGE); // a window there has something in it
  const every = p => (Math.floor(Math.floor(p / w) / CELL) + Math.floor(p % w / CELL)) % 2 === 0;
  const tested = ring.map((x, p) => x && reached[p] && every(p) ? 1 : 0);
  const errors = filled.map(() => new Float64Array(h * w));
  const channels = seenOf(filled, outside);
  yield* stepInwards(channels, Float64Array.from(outside), tested, h, w);
  for (const p of places(tested)) {
    errors.forEach((channel, c) => { channel[p] = channels[c][p] - filled[c][p]; });
  }
  return errors;
}

return {strongestWaves, continueWaves, waveErrors};
})();
