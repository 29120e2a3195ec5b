"""Put one-line faults into exported cells, one at a time, and see that a test or a page fails. A page without a fault has to pass first. Takes about an hour.

    python tools/mutate.py            all of them
    python tools/mutate.py 04 08      those of two pages
"""
from __future__ import annotations

import argparse, json, os, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]

TESTS = {"00": ["pictures"], "04": ["training"], "05": ["encodings"], "07": ["training", "encodings"], "08": ["painting"], "09": ["gallery"], "10": ["encodings"], "11": ["tracking"], "12": ["inpainting"], "13": ["scaling"], "14": ["hostile", "cli"]}

FAULTS = [ # page, what is there, what is put in its place
    ("00", "return (((2*i + 1)*(stop - start)/n + 2*start) / 2)", "return (((2*i)*(stop - start)/n + 2*start) / 2)"),
    ("00", "*np.divmod(index, w), h, w", "*np.divmod(index, h), h, w"),
    ("00", "np.broadcast_arrays(along(row, h, top, bottom), along(col, w, left, right))", "np.broadcast_arrays(along(col, w, left, right), along(row, h, top, bottom))"),
    ("00", "anti_aliasing=True", "anti_aliasing=False"),
    ("00", "np.minimum(np.arange(start, start + tile), n - 1)", "np.minimum(np.arange(start, start + tile), n - 2)"),
    ("00", "if scale >= 1: return image", "if scale > 2: return image"),
    ("00", "image = ImageOps.exif_transpose(image)", "image = image.copy()"),
    ("01", "p - learning_rate*slope", "p + learning_rate*slope"),
    ("01", "jnp.concatenate([first[None], rest])", "jnp.concatenate([rest, first[None]])"),
    ("02", "jnp.mean(jnp.abs(_difference(predictions, targets)))", "jnp.sum(jnp.abs(_difference(predictions, targets)))"),
    ("02", "return jnp.mean(_difference(predictions, targets)**2)", "return jnp.mean(_difference(predictions, targets)**2)/2"),
    ("02", "-noise, noise)", "0, noise)"),
    ("02", "if predictions.shape != targets.shape:", "if predictions.size != targets.size:"),
    ("03", "for rows in (order[n_test:], order[:n_test])", "for rows in (order[:n_test], order[n_test:])"),
    ("03", "for rows in (order[n_test:], order[:n_test])", "for rows in (order[n_test - 1:], order[:n_test])"),
    ("03", "math.ceil(len(arrays[0])*test_size)", "math.floor(len(arrays[0])*test_size)"),
    ("03", "order = jax.random.permutation(_check_key(key), n)", "order = jnp.arange(n) + 0*jax.random.permutation(_check_key(key), n)"),
    ("04", "jax.random.bits(key, (8, 2), jnp.uint32)", "jax.random.bits(key, (1, 2), jnp.uint32)"),
    ("04", "l*b + r, numbers)", "l*a + r, numbers)"),
    ("04", "(state[0] >= n).any()", "(state[0] > n).any()"),
    ("04", "root - root//8, root + 1", "1, root + 1"),
    ("04", "jax.random.permutation(key, n)[numbers]", "jax.random.choice(key, n, numbers.shape)"),
    ("04", "eps*late", "eps"),
    ("04", "(1 - b2)*g*g", "(1 - b2)*g"),
    ("04", "learning_rate*late/(1 - b1**count)", "learning_rate*late"),
    ("04", "minibatches(jax.random.fold_in(key, e), len(x)", "minibatches(key, len(x)"),
    ("04", "state, first + jnp.arange(n_epochs)", "state, jnp.arange(n_epochs)"),
    ("04", "def step(state, rows): return train_step(state, x[rows], y[rows]", "def step(state, rows): return train_step(state, x[rows], y[rows[::-1]]"),
    ("04", "optimizer.update(grads, state.opt_state, state.model)", "optimizer.update(grads, optimizer.init(state.model), state.model)"),
    ("04", "epoch=run.epoch + n_epochs", "epoch=n_epochs"),
    ("04", "n_epochs=min(every, left)", "n_epochs=every"),
    ("05", "x[:, term[-1]]", "x[:, term[0]]"),
    ("05", "return z*scale + mean", "return (z + mean)*scale"),
    ("05", "jnp.concatenate([_sine(angles), _sine(angles + jnp.pi/2)], axis=-1)", "jnp.concatenate([_sine(angles), _sine(angles)], axis=-1)"),
    ("05", "sign = 1 - 2*(half_turns - 2*jnp.floor(half_turns/2))", "sign = 1 + 0*half_turns"),
    ("05", "jax.lax.stop_gradient(self.frequencies[...])", "self.frequencies[...]"),
    ("06", "return x if self.activation is None else self.activation(x)", "return x"),
    ("06", "limit = abs(kernel).max() or 1.", "limit = 1."),
    ("07", "activation=activation, kernel_init=kernel_init", "activation=jax.nn.gelu, kernel_init=kernel_init"),
    ("07", "sizes = [in_features, *[width]*depth]", "sizes = [in_features, *[width]*(depth + 1)]"),
    ("07", "np.sqrt(6/width)/omega", "np.sqrt(6/width)"),
    ("07", "(self.omega if i else self.first_omega)", "(self.first_omega if i else self.omega)"),
    ("08", "np.cos(np.pi*progress)", "np.cos(progress)"),
    ("08", "max((run.epoch - plan.first)/plan.n_epochs", "max(run.epoch/plan.n_epochs"),
    ("08", "losses=[*painting.losses, loss]", "losses=[loss]"),
    ("08", "if w is None: w = max(1, round(h*width/height))", "if w is None: w = max(1, round(h*height/width))"),
    ("08", "painting.psnr >= plan.target_psnr): progress = 1.", "painting.psnr <= plan.target_psnr): progress = 1."),
    ("08", "net_key, data_key = jax.random.split(key)", "net_key, data_key = jax.random.split(jax.random.key(0))"),
    ("08", "return picture[..., 0] if self.image.ndim == 2 else picture", "return picture"),
    ("09", "itertools.product(*axes.values())", "itertools.product(*reversed(axes.values()))"),
    ("09", "self.net(jnp.concatenate([codes, self.waves(places)], axis=1))", "self.net(jnp.concatenate([codes, self.waves(places[:, ::-1])], axis=1))"),
    ("09", "jnp.where(known[:, None], self.codes[number], jnp.nan)", "self.codes[number]"),
    ("10", ".5 + f*(1 - f), f**2/2", ".5 + f*(1 - f), f/2"),
    ("10", "steps = np.cumprod([1, *sides[:-1]])", "steps = np.cumprod([1, *sides[1:]])"),
    ("10", "f = at - cell", "f = cell - at"),
    ("10", "reduce(jnp.bitwise_xor, parts) % size", "reduce(jnp.bitwise_or, parts) % size"),
    ("10", "x/np.array(self.extent, np.float32)", "x*np.array(self.extent, np.float32)"),
    ("11", "key=jax.random.wrap_key_data(arrays[\"key\"], impl=jax.random.key_impl(run.key))", "key=run.key"),
    ("11", "    if words.get(\"digest\") != _digest(arrays): raise _Damaged(f\"{path} is damaged: its numbers are not those that were saved\")\n    return words, arrays, start", "    return words, arrays, start"),
    ("11", "for old in _checkpoints(folder)[last:]: old.unlink()", "for old in _checkpoints(folder)[:-last]: old.unlink()"),
    ("11", "if value < best:", "if value > best:"),
    ("11", "if run is not saved: write()", "pass"),
    ("11", "if shape != leaf.shape: raise", "if len(shape) != len(leaf.shape): raise"),
    ("12", "return mean + (places - centre) @ slopes", "return mean - (places - centre) @ slopes"),
    ("12", "np.mean([a[:h, :w][flip] for a, flip in zip(added, flips)], axis=0)", "np.mean([a[:h, :w] for a, flip in zip(added, flips)], axis=0)"),
    ("12", "-(rows[:, np.flatnonzero(~unknown)] @ flat[~unknown])", "rows[:, np.flatnonzero(~unknown)] @ flat[~unknown]"),
    ("12", "np.rint(filled)", "np.floor(filled)"),
    ("12", "else np.moveaxis(out, channel_axis, -1)\n    view[mask]", "else np.moveaxis(out.copy(), channel_axis, -1)\n    view[mask]"),
    ("04", "shared(rows, None, mesh and mesh.axis_names)", "shared(rows)"),
    ("08", "progress = _agreed(min(", "progress = (min("),
    ("13", "turn*n_windows + jax.numpy.arange(n_windows)", "jax.numpy.arange(n_windows)"),
    ("13", "axis=1)*size + shift)", "axis=1)*size)"),
    ("13", "jax.random.fold_in(key, around)", "jax.random.fold_in(key, 0)"),
    ("13", "slice(0, start + size - n)", "slice(0, size)"),
    ("13", "some = corners[first//size**2:", "some = corners[0*first:"),
    ("13", "rows(held[0][0], held[-1][1])", "rows(0, n)"),
    ("13", "[:, None]*w + np.minimum", "[:, None]*h + np.minimum"),
    ("14", "if error.errno in names and", "if error.errno not in names and"),
    ("14", "missing = picture[..., :3], picture[..., 3] < 128", "missing = picture[..., :3], picture[..., 3] >= 128"),
    ("14", "or (painting.image != picture).any()", "or (painting.image == picture).any()"),
    ("14", "except KeyboardInterrupt: code = _INTERRUPTED", "except KeyboardInterrupt: code = 0"),
    ("14", "if value is None or low <= value <= high: return value", "if value is None or low <= value: return value"),
]


def survives(folder: Path, page: str, there: str, instead: str) -> str:
    "Why the fault was found, or an empty word."
    path = next((folder/"nbs").glob(f"{page}*.ipynb"))
    original = path.read_text()
    notebook = json.loads(original)
    cells = [cell for cell in notebook["cells"] if "".join(cell["source"]).startswith("#| export") and there in "".join(cell["source"])]
    if len(cells) != 1 or "".join(cells[0]["source"]).count(there) != 1: raise SystemExit(f"page {page} has this {len(cells)} times in its exported cells: {there}")
    cells[0]["source"] = "".join(cells[0]["source"]).replace(there, instead)
    env = {**os.environ, "PYTHONPATH": str(folder), "JAX_COMPILATION_CACHE_DIR": str(folder/".jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
    def fails(*command):
        try: return subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600).returncode
        except subprocess.TimeoutExpired: return True
    try:
        path.write_text(json.dumps(notebook))
        if fails("nbdev_export"): raise SystemExit(f"page {page} cannot be exported with {instead}")
        for tests in TESTS.get(page, []):
            if fails(sys.executable, "-m", "pytest", "-xq", "-n0", f"tests/test_{tests}.py"): return f"tests/test_{tests}.py"
        return f"page {page}" if fails(sys.executable, "tools/notebooks.py", page) else ""
    finally:
        path.write_text(original)
        fails("nbdev_export")


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("page", nargs="*", help="the start of a page's name, such as 04")
    args.add_argument("--jobs", type=int, default=2, help="copies of the project to work in")
    args = args.parse_args()
    chosen, folders, survivors = [fault for fault in FAULTS if not args.page or fault[0] in args.page], SimpleQueue(), []
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(args.jobs) as pool:
        for i in range(args.jobs):
            shutil.copytree(ROOT, folder := Path(temporary)/str(i), ignore=shutil.ignore_patterns(".*", "_docs", "*.egg-info", "__pycache__", "build"))
            folders.put(folder)
        def one(fault):
            folder, began = folders.get(), time.time()
            try: return fault, survives(folder, *fault), time.time() - began
            finally: folders.put(folder)
        controls = [next((page, there, there) for page, there, _ in chosen if page == p) for p in sorted({page for page, *_ in chosen})]
        for (page, there, instead), found, seconds in pool.map(one, controls + chosen): # a page as it is must pass, or nothing is found by the others
            if there == instead:
                if found: raise SystemExit(f"{found} fails without a fault")
                continue
            if not found: survivors.append(instead)
            print(f"{found or 'SURVIVES':24} {page}  {there.strip().splitlines()[0][:60]}  ->  {instead.strip()[:60]}  ({seconds:.0f} s)", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults are found")
    return bool(survivors)


if __name__ == "__main__": sys.exit(main())
