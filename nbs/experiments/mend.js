// Page 12: what `inpaint` of cadl_flax/inpainting.py computes for a photo of 8 bits: the sheet, and what
// the network adds to it. The names are those of that file and of cadl_flax/correcting.py.
// needs: sheet corrector lift
"use strict";
const mend = (() => {

const {MIRRORS, network, correction} = corrector;
const {HALO, COARSEST, places, opposite, around, blocks, sides, cut, paste, nearest, continued, fill} = sheet;
const REACH = 48; // pixels around a block that the network sees
const SEEN = 25; // pixels from a missing one: what lies beyond has no influence
const STENCIL = 2; // pixels from a missing one: what the sheet is pinned to
const MARGIN = .25; // of the range within STENCIL, by which other seen pixels may leave it
const LONGEST = {corrected: 512, ofFour: 264, compared: 64}; // sides of blocks, in pixels
const ROOMS = [.05, .25]; // of the range, by which rough and smooth fills may leave it
const WIDE = 3; // pixels: how deep a hole is that is held in the range of what is around it
const NOISE_FLOOR = .01; // a contrast below it is not amplified further
const SMOOTH = [.05, .1]; // roughness beside contrast: up to which nothing is added, from which all
const FORESEEN = [.6, .75]; // misfit of waves: up to which a hole is theirs, from which not at all
const ALIKE = .55; // the likeness of details from which on two channels are of one picture

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
  mirror: (at, n, k) => {
    const period = Math.max(1, 2 * n - 2);
    const place = (k % period + period) % period;
    return at(Math.min(place, period - place));
  },
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

// Channels without their mean over 9 by 9 pixels.
function detailOf(channels, h, w) {
  return channels.map(channel => {
    const mean = boxMean(channel, h, w, 4, "odd");
    return channel.map((x, p) => x - mean[p]);
  });
}

// The same, and how strong that is nearby.
function localDetail(channels, known, h, w) {
  const detail = detailOf(channels, h, w);
  const gray = meanOf(detail);
  const squares = gray.map((x, p) => known[p] ? x * x : 0);
  // of known pixels: those next to a pixel count most, and inside a wide hole there are none
  const power = new Float64Array(h * w);
  const count = new Float64Array(h * w).fill(1e-6);
  for (const [radius, weight] of [[4, 1], [16, .1]]) {
    const near = boxMean(squares, h, w, radius, "mirror");
    const nNear = boxMean(Float64Array.from(known), h, w, radius, "mirror");
    for (let p = 0; p < h * w; p++) {
      power[p] += weight * near[p];
      count[p] += weight * nNear[p];
    }
  }
  const contrast = power.map((x, p) => Math.sqrt(Math.max(0, x) / count[p] + NOISE_FLOOR ** 2));
  return {detail, gray, contrast};
}

// What the network sees of a fill, pixel by pixel, and what its kernels are applied to.
function networkInputs(channels, pull, lifts, missing, h, w) {
  const known = opposite(missing);
  const {detail, gray, contrast} = localDetail(channels, known, h, w);
  const guide = gray.map((x, p) => x / contrast[p]);
  const [pulled, lifted] = [pull, lifts].map(moves => meanOf(moves).map((x, p) => x / contrast[p]));
  return {guide, known, pulled, lifted, detail, pull, lift: lifts, contrast};
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
  const [far, nFar] = [squares, counts].map(a => boxMean(a, h, w, 16, "zero"));
  const isPinned = p => nFar[p] > 1e-6;
  const share = contrast.map((x, p) => {
    if (!isPinned(p)) return 0;
    const power = Math.max(0, near[p] + 1e-3 * far[p]) / (nNear[p] + 1e-3 * nFar[p] + 1e-9);
    const rough = Math.sqrt(power / Math.max((NOISE_FLOOR / 10) ** 2, x * x - NOISE_FLOOR ** 2));
    return Math.min(1, Math.max(0, (rough - SMOOTH[0]) / (SMOOTH[1] - SMOOTH[0])));
  });
  const nearby = greatestAround(share, h, w, HALO);
  return share.map((x, p) => isPinned(p) ? x : nearby[p]);
}

// How much of a wide hole its waves fill alone: all where they foresee what is known around it.
function* foreseenOf(channels, lifts, contrast, hole, h, w) {
  const isWide = hole.missing.map((_, p) => lifts.some(channel => channel[p]) ? 1 : 0);
  if (!isWide.includes(1)) return new Float64Array(h * w);
  const errors = yield* lift.waveErrors(channels, hole.missing, hole.seen, h, w);
  const tested = hole.missing.map((_, p) => errors.some(channel => channel[p]) ? 1 : 0);
  const squares = [meanOf(errors.map(channel => channel.map(x => x * x))), contrast.map(x => x * x)];
  const [error, power] = squares.map(a => boxMean(a.map((x, p) => tested[p] ? x : 0), h, w, REACH, "zero"));
  return Float64Array.from(isWide, (x, p) => {
    if (!x || power[p] <= 1e-9) return 0;
    const misfit = Math.sqrt(Math.max(0, error[p]) / power[p]);
    return Math.min(1, Math.max(0, (FORESEEN[1] - misfit) / (FORESEEN[1] - FORESEEN[0])));
  });
}

// ---------------------------------------------------------------- correcting

// A block with what the network adds, or waves, within the limits of each channel.
function* correctBlock(channels, pull, hole, limits, layers, mirrors, h, w) {
  yield;
  const lifts = yield* lift.continueWaves(channels, hole.missing, hole.seen, h, w);
  const looks = networkInputs(channels, pull, lifts, hole.missing, h, w);
  const foreseen = yield* foreseenOf(channels, lifts, looks.contrast, hole, h, w);
  const bent = channels.map((channel, c) => channel.map((x, p) => x - pull[c][p]));
  const roughness = shareOf(bent, looks.contrast, hole.pinning, h, w);
  const nearby = greatestAround(roughness.map((x, p) => hole.missing[p] ? x : 0), h, w, HALO);
  // slow waves bend the rim of a wide hole little, and inside it much
  const share = roughness.map((x, p) => lifts.some(channel => channel[p]) ? nearby[p] : x);
  const holes = wideHoles(hole.missing, hole.seen, h, w);
  const wanted = hole.missing.map((x, p) => x && share[p] > 0 ? 1 : 0);
  yield;
  const added = yield* correction(looks, wanted, layers, h, w, mirrors);
  const corrected = channels.map((channel, c) => {
    const [[roughLow, roughHigh], [smoothLow, smoothHigh]] = limits[c];
    return channel.map((x, p) => {
      if (!hole.missing[p]) return x;
      const low = smoothLow + nearby[p] * (roughLow - smoothLow);
      const high = smoothHigh + nearby[p] * (roughHigh - smoothHigh);
      // what is not corrected is bent all through: the top of a hill is not flat
      const start = x - (1 - share[p]) * pull[c][p];
      const more = added[c][p] + foreseen[p] * (lifts[c][p] - added[c][p]);
      return Math.min(high, Math.max(low, start + more * share[p]));
    });
  });
  return heldInHoles(corrected, holes, nearby);
}

// Pixels in groups that hang together, at corners too: each as an array of places.
function connected(pixels, h, w) {
  const left = pixels.slice();
  const groups = [];
  for (const start of places(pixels)) {
    if (!left[start]) continue;
    const group = [start];
    left[start] = 0;
    for (let n = 0; n < group.length; n++) {
      for (const q of neighbours(group[n], h, w)) {
        if (left[q]) group.push(q);
        left[q] = 0;
      }
    }
    groups.push(group);
  }
  return groups;
}

// A pixel and those around it.
function neighbours(p, h, w) {
  const [i, j] = [Math.floor(p / w), p % w];
  const found = [];
  for (let y = Math.max(0, i - 1); y <= Math.min(h - 1, i + 1); y++) {
    for (let x = Math.max(0, j - 1); x <= Math.min(w - 1, j + 1); x++) found.push(y * w + x);
  }
  return found;
}

// Holes deep enough to be held: their missing pixels `inside`, and the seen pixels `known` within their
// own width.
function wideHoles(missing, seen, h, w) {
  const {distance} = nearest(opposite(missing), h, w);
  const depths = new Float64Array(h * w);
  for (const p of places(missing)) depths[p] = Math.sqrt(distance(p));
  const found = [];
  for (const pixels of connected(Uint8Array.from(depths, x => x > 1.5), h, w)) {
    const deepest = pixels.reduce((most, p) => Math.max(most, depths[p]), 0);
    if (deepest >= WIDE) found.push(holeAround(pixels, Math.floor(2 * deepest), missing, seen, h, w));
  }
  return found;
}

function holeAround(pixels, width, missing, seen, h, w) {
  const deep = new Uint8Array(h * w);
  for (const p of pixels) deep[p] = 1;
  const {distance} = nearest(deep, h, w);
  const [inside, known] = [[], []];
  for (const p of places(around(deep, h, w, width))) {
    const square = distance(p);
    if (missing[p] && square < 4) inside.push(p);
    if (seen[p] && square <= width ** 2) known.push(p);
  }
  return {inside, known};
}

// The channels, each wide hole held in the range of what is known around it.
function heldInHoles(channels, holes, nearby) {
  const held = channels.map(channel => channel.slice());
  for (const {inside, known} of holes) {
    if (!known.length) continue;
    const share = inside.reduce((most, p) => Math.max(most, nearby[p]), 0);
    const room = ROOMS[1] + share * (ROOMS[0] - ROOMS[1]);
    channels.forEach((channel, c) => {
      const low = known.reduce((least, p) => Math.min(least, channel[p]), Infinity);
      const high = known.reduce((most, p) => Math.max(most, channel[p]), -Infinity);
      const [least, most] = [low - room * (high - low), high + room * (high - low)];
      for (const p of inside) held[c][p] = Math.min(most, Math.max(least, channel[p]));
    });
  }
  return held;
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

function* correct(channels, pull, hole, limits, layers, h, w) {
  const corrected = channels.map(channel => channel.slice());
  const longest = LONGEST.corrected - (Math.max(h, w) > LONGEST.corrected ? 2 * REACH : 0);
  const isLarge = Math.max(h, w) > LONGEST.ofFour;
  const mirrors = isLarge ? [MIRRORS[0], MIRRORS[3]] : MIRRORS; // itself and upside down
  for (const {inner, outer} of blocks(h, w, longest, hole.missing, REACH)) {
    const part = {};
    for (const name of ["missing", "seen", "pinning", "unseen"]) part[name] = cut(hole[name], w, outer);
    const size = sides(outer);
    const parts = continued(channels.map(channel => cut(channel, w, outer)), part.unseen, ...size);
    const pulled = pull.map(channel => cut(channel, w, outer));
    const solved = yield* correctBlock(parts, pulled, part, limits, layers, mirrors, ...size);
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
function* likeness(channels, hole, h, w) {
  const close = around(hole.missing, h, w, 15);
  const compared = hole.seen.map((x, p) => x & close[p]);
  const all = blocks(h, w, LONGEST.compared, compared);
  const every = Math.ceil(all.length / 8) || 1;
  const products = channels.map(() => channels.map(() => 1e-30));
  for (const {outer} of all.filter((_, n) => n % every == 0)) {
    const size = sides(outer);
    const [at, unseen] = [cut(compared, w, outer), cut(hole.unseen, w, outer)];
    const parts = continued(channels.map(channel => cut(channel, w, outer)), unseen, ...size);
    const detail = detailOf(parts, ...size).map(a => boxMean(a, ...size, 1, "reflect"));
    detail.forEach((a, c) => detail.forEach((b, d) => {
      products[c][d] += at.reduce((sum, x, p) => x ? sum + a[p] * b[p] : sum, 0);
    }));
    yield;
  }
  return products.map((row, c) => row.map((x, d) => 2 * x / (products[c][c] + products[d][d])));
}

// Which channels are one picture: alike, or alike to one that is.
function* pictures(channels, hole, h, w) {
  const alike = yield* likeness(channels, hole, h, w);
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
  const {filled, pull} = yield* fill(varied.map(c => ranges[c].scaled), missing, hole.unseen, h, w);
  varied.forEach((c, n) => {
    const {low, span} = ranges[c];
    const [least, most] = limits[c][1];
    alone[c] = filled[n].map(x => Math.min(most, Math.max(least, low + x * span)));
  });
  const widest = Math.max(...ranges.map(range => range.span));
  const comparable = varied.map(c => alone[c].map(x => (x - ranges[c].low) / widest));
  for (const group of yield* pictures(comparable, hole, h, w)) {
    const picture = group.map(n => varied[n]);
    const low = Math.min(...picture.map(c => ranges[c].low));
    const span = Math.max(...picture.map(c => ranges[c].high)) - low;
    const joined = picture.map(c => alone[c].map(x => (x - low) / span));
    const pulled = group.map(n => pull[n].map(x => x * ranges[varied[n]].span / span));
    const within = picture.map(c => limits[c].map(pair => pair.map(x => (x - low) / span)));
    const corrected = yield* correct(joined, pulled, hole, within, layers, h, w);
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

// The part of a photo that a fill depends on: of whole squares of 8 pixels, unless it ends with the photo.
function windowOf(missing, h, w) {
  let [top, bottom, left, right] = [h, 0, w, 0];
  missing.forEach((x, p) => {
    if (!x) return;
    const [i, j] = [Math.floor(p / w), p % w];
    [top, bottom] = [Math.min(top, i), Math.max(bottom, i)];
    [left, right] = [Math.min(left, j), Math.max(right, j)];
  });
  const square = n => Math.floor(Math.max(0, n) / COARSEST) * COARSEST;
  const begin = n => square(n - REACH);
  const end = (n, side) => Math.min(side, square(n + REACH) + COARSEST);
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

return {inpaint, depth, localDetail, networkInputs, correction, wideHoles, heldInHoles, network, finish};
})();
