// A painter in the browser: what the networks of the course compute, and how a small one learns. Plain JavaScript: no library, no request.
"use strict";
const painter = (() => {
const float64 = n => new Float64Array(n), max = Math.max, min = Math.min;

// A network from what `cadl_flax.tracking.save` wrote: 8 bytes with the length of the header, the header as JSON, then the numbers.
function read(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true)), header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const names = Object.keys(header).sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
  const all = end => names.filter(name => name.endsWith(end) || name.includes(end + ".")).map(name => {
    const {shape, data_offsets: [from, to]} = header[name];
    return {shape, data: new Float32Array(buffer.slice(8 + length + from, 8 + length + to))};
  });
  const kernels = all(".kernel"), biases = all(".bias"), [waves] = all(".frequencies"), tables = all(".tables");
  const layers = kernels.map(({shape, data}, i) => ({inputs: shape[0], outputs: shape[1], kernel: data, bias: biases[i].data}));
  const {cadl_flax, settings} = header.__metadata__; // one word for all of format 2; in format 1 a word each
  return prepared({...cadl_flax ? JSON.parse(cadl_flax).settings : JSON.parse(settings), waves: waves?.data, tables: tables.length ? tables : null, layers});
}

// A new network: places, or waves of random frequencies, and hidden layers of ReLUs, drawn by the generator mulberry32.
function create(seed, waves = 32, width = 32, depth = 3, sigma = 1.5) {
  const random = () => { seed = seed + 0x6D2B79F5 | 0; let t = Math.imul(seed ^ seed >>> 15, 1 | seed); t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t; return ((t ^ t >>> 14) >>> 0)/4294967296; };
  const normal = (n, scale) => Float32Array.from({length: n}, () => scale*Math.sqrt(-2*Math.log(1 - random()))*Math.cos(2*Math.PI*random()));
  const drawn = waves ? normal(2*waves, sigma) : null, sizes = [waves ? 2*waves : 2, ...Array(depth).fill(width), 3];
  const layers = sizes.slice(1).map((outputs, i) => ({inputs: sizes[i], outputs, kernel: normal(sizes[i]*outputs, Math.sqrt((i < depth ? 2 : 1)/sizes[i])), bias: new Float32Array(outputs)}));
  return prepared({waves: drawn, tables: null, layers, random});
}

// Room for activations, and for the slopes and moments of each parameter.
function prepared(net) {
  net.a = [float64(net.layers[0].inputs), ...net.layers.map(l => float64(l.outputs))];
  net.d = net.a.map(a => float64(a.length));
  net.params = net.layers.flatMap(l => [["kernel", "dKernel"], ["bias", "dBias"]].map(([name, slope]) => ({value: l[name], slope: l[slope] = float64(l[name].length), m: float64(l[name].length), v: float64(l[name].length)})));
  net.steps = 0;
  return net;
}

// Along one axis: the first node whose spline reaches a place, and the shares of it and those after it.
function shares(x, cells, order) {
  const at = (min(1, max(-1, x)) + 1)/2*cells, cell = min(cells - 1, Math.floor(at)), f = at - cell;
  return [cell, order == 1 ? [1 - f, f] : [(1 - f)**2/2, .5 + f*(1 - f), f*f/2]];
}

// (row, col) to the activations of each layer; the last are red, green and blue, about 0 to 1.
function forward(net, row, col) {
  const x = net.a[0];
  if (net.waves) for (let k = 0, n = net.waves.length/2; k < n; k++) {
    const angle = 2*Math.PI*(row*net.waves[k] + col*net.waves[n + k]);
    x[k] = Math.sin(angle); x[n + k] = Math.cos(angle);
  } else if (net.tables) {
    let first = 0;
    x.fill(0);
    net.tables.forEach(({shape: [, features], data}, level) => {
      const [rows, cols] = net.cells[level], [r, down] = shares(row/net.extent[0], rows, net.order), [c, right] = shares(col/net.extent[1], cols, net.order);
      for (let i = 0; i < down.length; i++) for (let j = 0; j < right.length; j++)
        for (let f = 0, node = (r + i + (c + j)*(rows + net.order))*features; f < features; f++) x[first + f] += down[i]*right[j]*data[node + f];
      first += features;
    });
  } else { x[0] = row; x[1] = col; }
  net.layers.forEach(({inputs, outputs, kernel, bias}, l) => {
    const x = net.a[l], y = net.a[l + 1];
    y.set(bias);
    for (let i = 0; i < inputs; i++) if (x[i]) for (let j = 0, k = i*outputs; j < outputs; j++, k++) y[j] += x[i]*kernel[k];
    if (l < net.layers.length - 1) for (let j = 0; j < outputs; j++) if (y[j] < 0) y[j] = 0;
  });
  return net.a.at(-1);
}

// The mean squared error over some places [[row, col], …] and colours [[r, g, b], …], and its slope for each weight, by backpropagation.
function slopes(net, places, colours) {
  let loss = 0;
  for (const p of net.params) p.slope.fill(0);
  places.forEach(([row, col], e) => {
    forward(net, row, col).forEach((y, j) => { const error = y - colours[e][j], n = 3*places.length; loss += error*error/n; net.d.at(-1)[j] = 2*error/n; });
    for (let l = net.layers.length - 1; l >= 0; l--) {
      const {inputs, outputs, kernel, dKernel, dBias} = net.layers[l], x = net.a[l], above = net.d[l + 1], below = net.d[l];
      for (let j = 0; j < outputs; j++) dBias[j] += above[j];
      for (let i = 0; i < inputs; i++) {
        let sum = 0;
        for (let j = 0, k = i*outputs; j < outputs; j++, k++) { dKernel[k] += x[i]*above[j]; sum += kernel[k]*above[j]; }
        below[i] = x[i] > 0 ? sum : 0; // the slope of a ReLU
      }
    }
  });
  return loss;
}

// One step of Adam.
function step(net, places, colours, rate) {
  const loss = slopes(net, places, colours), t = ++net.steps;
  for (const {value, slope, m, v} of net.params) for (let i = 0; i < value.length; i++) {
    m[i] += .1*(slope[i] - m[i]); v[i] += .001*(slope[i]**2 - v[i]);
    value[i] -= rate*m[i]/(1 - .9**t)/(Math.sqrt(v[i]/(1 - .999**t)) + 1e-8);
  }
  return loss;
}

// Paint h by w pixels of a window [row, col, half of its longer side], coarse first: a generator that pauses now and then to be shown.
function* paint(net, image, [row, col, half] = [0, 0, 1], first = 1) {
  const {width: w, height: h, data} = image, long = max(h, w);
  let until = performance.now() + 12;
  for (let size = first; size >= 1; size /= 2) for (let i = 0; i < h; i += size) for (let j = 0; j < w; j += size) {
    if (size < first && i % (2*size) == 0 && j % (2*size) == 0) continue; // a coarser pass knows it
    const rgb = forward(net, row + half*(2*i + 1 - h)/long, col + half*(2*j + 1 - w)/long);
    for (let y = i; y < min(h, i + size); y++) for (let x = j, k = 4*(y*w + j); x < min(w, j + size); x++, k += 4)
      { data[k] = 255*rgb[0]; data[k + 1] = 255*rgb[1]; data[k + 2] = 255*rgb[2]; data[k + 3] = 255; } // the array rounds and clips
    if (performance.now() > until) { yield; until = performance.now() + 12; }
  }
}

const $ = id => document.getElementById(`painter-${id}`), frame = () => new Promise(requestAnimationFrame), fixed = (x, n) => x.toFixed(n).replace("-", "−");

// Look into a painting: drag or use the arrow keys to move, pinch, + and − to zoom.
function look(net) {
  const canvas = $("look"), context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  let [row, col, half, drawing] = [0, 0, 1, 0];
  async function move(rows, cols, zoom = 1) {
    const mine = ++drawing, limit = x => min(1 - half, max(half - 1, x));
    half = min(1, max(1/64, half/zoom)); row = limit(row + rows*half); col = limit(col + cols*half);
    $("zoom").textContent = `${fixed(1/half, 1)} ×`;
    for (const _ of paint(net, image, [row, col, half], 16)) { context.putImageData(image, 0, 0); await frame(); if (mine != drawing) return; }
    context.putImageData(image, 0, 0);
  }
  const keys = {ArrowUp: [-.3, 0], ArrowDown: [.3, 0], ArrowLeft: [0, -.3], ArrowRight: [0, .3], "+": [0, 0, 1.5], "=": [0, 0, 1.5], "-": [0, 0, 1/1.5], "0": [0, 0, 0]};
  canvas.onkeydown = e => { if (keys[e.key] && !e.ctrlKey && !e.metaKey) { e.preventDefault(); move(...keys[e.key]); } };
  canvas.onpointerdown = e => canvas.setPointerCapture(e.pointerId);
  canvas.onpointermove = e => { if (e.buttons) move(-2*e.movementY/canvas.clientHeight, -2*e.movementX/canvas.clientWidth); };
  canvas.onwheel = e => { if (e.ctrlKey) { e.preventDefault(); move(0, 0, Math.exp(-e.deltaY/100)); } };
  for (const [id, key] of [["in", "+"], ["out", "-"], ["all", "0"]]) $(id).onclick = () => move(...keys[key]);
  move(0, 0);
}

// Learn a picture while the reader watches. The first picture is what `net` paints.
function train(net, size = 64) {
  const [target, learned] = ["target", "learned"].map(id => $(id).getContext("2d", {willReadFrequently: true}));
  let picture = new ImageData(size, size), student, places, colours, seen, hidden, image, going = false, loss = 0;
  function restart() {
    const {width: w, height: h, data} = picture, n = w*h, long = max(w, h), all = [...Array(n).keys()];
    student = create(Number($("seed").value), $("kind").value == "waves" ? 32 : 0);
    for (let i = n - 1; i > 0; i--) { const j = Math.floor(student.random()*(i + 1)); [all[i], all[j]] = [all[j], all[i]]; }
    places = Array.from({length: n}, (_, i) => [(2*Math.floor(i/w) + 1 - h)/long, (2*(i % w) + 1 - w)/long]);
    colours = Array.from({length: n}, (_, i) => [...data.slice(4*i, 4*i + 3)].map(v => v/255));
    const n_hidden = Math.round(n*$("hide").value/100);
    [hidden, seen, image] = [all.slice(0, n_hidden), all.slice(n_hidden), new ImageData(w, h)];
    for (const context of [target, learned]) Object.assign(context.canvas, {width: w, height: h});
    const given = new ImageData(data.slice(), w, h);
    for (const i of hidden) given.data.set([128, 128, 128, 255], 4*i);
    target.putImageData(given, 0, 0);
    show();
  }
  function show() {
    for (const _ of paint(student, image));
    learned.putImageData(image, 0, 0);
    const db = some => fixed(-10*Math.log10(some.reduce((sum, i) => sum + colours[i].reduce((s, v, j) => s + (v - image.data[4*i + j]/255)**2, 0), 0)/3/some.length), 1);
    $("says").textContent = `step ${student.steps} · loss ${fixed(loss, 4)} · ${db(seen)} dB on the pixels it sees` + (hidden.length ? ` · ${db(hidden)} dB on those it does not` : "");
  }
  async function run() {
    for (let shown = 0; going; await frame()) {
      for (const until = performance.now() + 25; performance.now() < until;) {
        const batch = Array.from({length: 32}, () => seen[Math.floor(student.random()*seen.length)]);
        const value = step(student, batch.map(i => places[i]), batch.map(i => colours[i]), 10**$("rate").value);
        loss = student.steps == 1 ? value : .99*loss + .01*value;
      }
      if (performance.now() > shown + 250) { show(); shown = performance.now(); }
    }
  }
  const say = () => { $("rate-says").textContent = fixed(10**$("rate").value, 4); $("hide-says").textContent = `${$("hide").value} %`; };
  $("go").onclick = () => { going = !going; $("go").textContent = going ? "Pause" : "Go on"; if (going) run(); };
  for (const id of ["again", "seed", "kind", "hide"]) $(id)[id == "again" ? "onclick" : "onchange"] = restart;
  for (const id of ["rate", "hide"]) $(id).oninput = say;
  $("file").onchange = async () => {
    const [file] = $("file").files;
    try {
      const bitmap = await createImageBitmap(file), scale = size/max(bitmap.width, bitmap.height), sides = [bitmap.width, bitmap.height].map(n => max(1, Math.round(n*scale)));
      const context = Object.assign(document.createElement("canvas"), {width: sides[0], height: sides[1]}).getContext("2d");
      Object.assign(context, {imageSmoothingQuality: "high", fillStyle: "white"}).fillRect(0, 0, ...sides);
      context.drawImage(bitmap, 0, 0, ...sides);
      picture = context.getImageData(0, 0, ...sides);
      restart();
    } catch { $("says").textContent = `${file?.name}: this browser cannot read it as a picture`; }
  };
  $("save").onclick = () => {
    const canvas = document.createElement("canvas"), scale = 512/max(picture.width, picture.height), large = new ImageData(Math.round(picture.width*scale), Math.round(picture.height*scale));
    for (const _ of paint(student, large));
    Object.assign(canvas, {width: large.width, height: large.height}).getContext("2d").putImageData(large, 0, 0);
    Object.assign(document.createElement("a"), {href: canvas.toDataURL(), download: "painting.png"}).click();
  };
  for (const _ of paint(net, picture));
  say(); restart();
}

return {read, create, forward, slopes, step, paint, look, train};
})();
