"Several devices, several processes, and images that stay on the disk. What needs devices that are not there starts programs that pretend to have them."
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import tifffile
import zarr
from conftest import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_cli import newest, own_cache

from cadl_flax import __main__ as cli
from cadl_flax.pictures import coordinates, pixels, psnr, read_image, render
from cadl_flax.scaling import save_tiff, windows
from cadl_flax.tracking import load

KEY = jax.random.key(0)
NUMBERED = np.arange(20*31, dtype=np.uint16).reshape(20, 31)


def program(tmp_path, text, **surroundings):
    "What a program that pretends to have eight devices prints, as JSON."
    (tmp_path/"program.py").write_text(text)
    done = subprocess.run([sys.executable, tmp_path/"program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=500,
                          env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8", **surroundings})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def numbers(y): return (np.asarray(y)[:, 0]*65535).round().astype(int)


@given(st.integers(1, 7), st.integers(1, 12), st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_windows_are_rows_of_the_table_and_none_comes_twice(size, n_windows, epoch):
    assume(n_windows <= (20//size)*(31//size))
    x, y = next(windows(NUMBERED, key=KEY, epoch=epoch, size=size, n_windows=n_windows))
    found = numbers(y)
    assert len(set(found)) == len(found) == n_windows*size**2
    np.testing.assert_array_equal(x, coordinates(20, 31)[found])
    np.testing.assert_array_equal(y, pixels(NUMBERED)[1][found])


def test_a_round_reads_every_window_once_and_rounds_are_fair():
    count, epochs = np.zeros(620, int), windows(NUMBERED, key=KEY, size=4, n_windows=5)
    for _ in range(120):
        seen = np.concatenate([numbers(next(epochs)[1]) for _ in range(7)])
        assert len(set(seen)) == len(seen) == 560 # five rows of seven windows, of 16 pixels
        count[seen] += 1
    expected = 120*560/620
    deviation = np.sqrt(120*560/620*60/620)
    assert abs(count - expected).max() < 4.5*deviation


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack: yield stack


@pytest.mark.parametrize("make", ["memmap", "tiff", "tiled", "zarr"])
def test_an_image_is_whatever_can_be_sliced(tmp_path, make, stack):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    if make == "memmap":
        stored = np.memmap(tmp_path/"x", np.uint8, "w+", shape=image.shape)
        stored[:] = image
    if make == "tiff":
        tifffile.imwrite(tmp_path/"x.tif", image, photometric="rgb")
        stored = tifffile.memmap(tmp_path/"x.tif", mode="r")
    if make == "tiled":
        tifffile.imwrite(tmp_path/"x.tif", image, photometric="rgb", tile=(32, 32), compression="zlib")
        store = stack.enter_context(tifffile.imread(tmp_path/"x.tif", aszarr=True))
        stored = zarr.open(store, mode="r")
    if make == "zarr":
        stored = zarr.create_array(str(tmp_path/"x.zarr"), shape=image.shape, chunks=(32, 32, 3), dtype="uint8")
        stored[:] = image
    for _, stored_rows, rows in zip(range(3), windows(stored, key=KEY, size=8, n_windows=12), windows(image, key=KEY, size=8, n_windows=12)):
        for ours, theirs in zip(stored_rows, rows, strict=True): np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_holds_what_render_paints(tmp_path, channels, dtype):
    def model(x): return abs(x @ np.ones((2, channels), np.float32)/2) + np.arange(channels, dtype=np.float32)/9
    save_tiff(model, tmp_path/"x.tif", 70, 101, tile=32, dtype=dtype)
    top = np.iinfo(dtype).max
    expected = (render(model, 70, 101).astype(np.float64)*top).round()
    found = tifffile.imread(tmp_path/"x.tif").reshape(70, 101, channels)
    assert found.dtype == dtype and abs(found - expected).max() <= 1 # the compiler may round otherwise for another number of places
    assert (found != expected).mean() < .01
    if dtype == np.uint8: np.testing.assert_array_equal(read_image(tmp_path/"x.tif").reshape(found.shape), found)
    with tifffile.TiffFile(tmp_path/"x.tif") as tiff: assert tiff.pages[0].is_tiled and not tiff.is_bigtiff


def test_a_tiff_that_fails_leaves_nothing(tmp_path):
    def model(x): return jax.numpy.where(x[:, :1] > .5, np.nan, .5)
    with pytest.raises(ValueError, match="NaN"): save_tiff(model, tmp_path/"x.tif", 64, 64, tile=16)
    assert list(tmp_path.iterdir()) == []


EIGHT = """
import json, re, sys
import jax, numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
from skimage import data
from cadl_flax import training
from cadl_flax.encodings import HashGrid
from cadl_flax.networks import MLP
from cadl_flax.painting import mlp_behind, paint
from cadl_flax.pictures import pixels, render, shrink
from cadl_flax.scaling import windows
from cadl_flax.tracking import load, save
x, y = pixels(shrink(data.astronaut(), 64))
devices, found = Mesh(jax.devices(), ("batch",)), {}
explicit = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Explicit,))
def put(v, *axes, mesh=devices): return jax.device_put(v, NamedSharding(mesh, P(*axes)))
def apart(a, b): return float(abs(np.asarray(a)/np.asarray(b) - 1).max())
settings = dict(key=jax.random.key(1), batch_size=512)
for name, network in dict(smooth=MLP(2, 3, width=64, depth=3, activation=nnx.gelu, rngs=nnx.Rngs(0)), grid=mlp_behind(HashGrid, finest=32, depth=2)(2, 3, rngs=nnx.Rngs(0))).items():
    one = training.fit(network, x, y, **settings, n_epochs=25)
    eight = training.fit(network, put(x), put(y), **settings, n_epochs=25)
    begun = training._begin(network, x, y, jax.random.key(1), batch_size=512)
    options = dict(loss=begun.loss, optimizer=begun.optimizer, batch_size=512, n_batches=None, n_epochs=25, observe=None, mesh=devices)
    text = training._epochs.lower(begun.state, put(x), put(y), begun.key, 0, **options).compile().as_text()
    count = {op: len(re.findall(rf"= .*\\s{op}(?:-start)?\\(", text)) for op in ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute")}
    by_rows = training.fit(network, put(x, "batch"), put(y, "batch"), **settings, n_epochs=2)
    other_axes = training.fit(network, put(x, mesh=explicit), put(y, mesh=explicit), **settings, n_epochs=2)
    found[name] = dict(steps=one.losses.size, apart=apart(eight.losses, one.losses), count=count, rows=apart(by_rows.losses, one.losses[:2]), axes=apart(other_axes.losses, one.losses[:2]),
                       uneven=apart(training.fit(network, put(x), put(y), key=jax.random.key(1), batch_size=50, n_batches=8, n_epochs=1).losses,
                                    training.fit(network, x, y, key=jax.random.key(1), batch_size=50, n_batches=8, n_epochs=1).losses),
                       devices=len(jax.tree.leaves(eight.state)[0].devices()), render=float(abs(render(eight.model, 33, 21) - render(jax.tree.map(np.asarray, eight.model), 33, 21)).max()))
save(eight, "eight.safetensors")
save(one, "one.safetensors")
half = lambda run, put: training.fit(run, put(x), put(y), n_epochs=5).losses
found["resumed"] = dict(eight_on_one=apart(half(load("eight.safetensors", one), lambda v: v), half(eight, put)), one_on_eight=apart(half(load("one.safetensors", eight), put), half(one, lambda v: v)))
rows = next(windows(shrink(data.astronaut(), 64), key=jax.random.key(0), size=8, n_windows=16))
unequal = next(windows(shrink(data.astronaut(), 64), key=jax.random.key(0), size=5, n_windows=3))
found["windows"] = [[len(x.sharding.device_set), str(x.sharding.spec), len(x)] for x, _ in (rows, unequal)]
np.savez("windows.npz", *rows)
found["paint"] = paint(shrink(data.astronaut(), 32), n_epochs=30, n_frames=1).psnr
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eight")
    return folder, program(folder, EIGHT)


@pytest.mark.parametrize("name", ["smooth", "grid"])
def test_eight_devices_do_what_one_does(eight, name):
    found = eight[1][name]
    assert found["steps"] == 200 and found["apart"] < (1e-5 if name == "smooth" else .05) # a network with bends leaps now and then, on one device too
    assert found["count"] == {"all-reduce": 1, "all-gather": 0, "all-to-all": 0, "reduce-scatter": 0, "collective-permute": 0}
    assert found["devices"] == 8 and found["render"] < 1e-5
    assert max(found["rows"], found["axes"], found["uneven"]) < 1e-5


def test_what_eight_devices_kept_goes_on_with_one_and_the_other_way_round(eight):
    assert max(eight[1]["resumed"].values()) < 1e-3


def test_windows_are_the_same_for_eight_devices(eight):
    from skimage import data

    from cadl_flax.pictures import shrink
    assert eight[1]["windows"] == [[8, "P('batch',)", 1024], [8, "P()", 75]] # shared out, or a copy for each
    with np.load(eight[0]/"windows.npz") as theirs:
        for name, ours in zip(theirs.files, next(windows(shrink(data.astronaut(), 64), key=KEY, size=8, n_windows=16)), strict=True): np.testing.assert_array_equal(theirs[name], ours)


def test_paint_uses_every_device(eight):
    from skimage import data

    from cadl_flax.painting import paint
    from cadl_flax.pictures import shrink
    assert abs(paint(shrink(data.astronaut(), 32), n_epochs=30, n_frames=1).psnr - eight[1]["paint"]) < .1


def begin(folder, process, port, *more):
    line = [sys.executable, "-m", "cadl_flax", "paint", "--size", "32", "--epochs", "40", "--processes", "2", "--process", str(process), "--coordinator", f"127.0.0.1:{port}", *more]
    return subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own_cache(folder.parent))


def together(folder, *more):
    folder.mkdir(exist_ok=True)
    port = free_port()
    return [begin(folder, i, port, *more) for i in (0, 1)]


def ended(processes):
    said = [p.communicate(timeout=200) for p in processes]
    return [p.returncode for p in processes], said


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    "A folder with what two processes painted without a break, and what they said."
    folder = tmp_path_factory.mktemp("two")/"unbroken"
    codes, said = ended(together(folder, "--json"))
    assert codes == [0, 0], said
    return folder, said


def test_two_processes_paint_what_one_paints(unbroken):
    folder, said = unbroken
    facts = json.loads(said[0][0])
    assert said[1][0] == "" and facts["epochs"] == 40
    subprocess.run([sys.executable, "-m", "cadl_flax", "paint", "--size", "32", "--epochs", "40", "--out", "one.png", "--quiet"], cwd=folder, check=True, env=own_cache(folder.parent))
    ours, theirs = load(folder/"painting.safetensors"), load(folder/"one.safetensors")
    assert abs(ours.psnr - theirs.psnr) < .1 and ours.psnr == facts["psnr"]
    np.testing.assert_allclose(ours.losses[:5], theirs.losses[:5], rtol=1e-5)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=.05)
    assert psnr(ours.render(), theirs.render()) > 35


@pytest.mark.parametrize("who", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_one_of_two_is_killed_and_both_are_started_again(unbroken, who):
    folder, kept = unbroken[0].parent/f"killed{who}", ("--checkpoint", "kept", "--every", "0", "--quiet")
    processes = together(folder, *kept)
    while (not (folder/"kept").is_dir() or newest(folder/"kept") < 10) and processes[0].poll() is None: time.sleep(.01)
    processes[who].kill()
    codes, said = ended(processes)
    assert codes[who] == -9 and newest(folder/"kept") < 40, said
    if who == 1:
        assert codes[0] == 3 and "cadl-flax: a process is gone" in said[0][1]
        assert (folder/"painting.png").exists()
    else: assert codes[1] in (3, -6) # JAX itself ends those that have lost the first one, if it is quicker
    codes, said = ended(together(folder, *kept))
    assert codes == [0, 0], said
    ours, theirs = load(folder/"painting.safetensors"), load(unbroken[0]/"painting.safetensors")
    assert ours.run.epoch == 40 and ours.losses == theirs.losses
    np.testing.assert_array_equal(ours.render(), theirs.render())


WINDOWED = """
import sys
import jax, numpy as np
from flax import nnx
from cadl_flax.networks import MLP
from cadl_flax.scaling import windows
from cadl_flax.training import fit
which, port = map(int, sys.argv[1:])
if port: jax.distributed.initialize(f"127.0.0.1:{port}", 2, which)
image = np.random.default_rng(0).integers(0, 255, (100, 120, 3)).astype(np.uint8)
read = []
class Store:
    "An image that remembers what was read of it."
    shape, dtype = image.shape, image.dtype
    def __getitem__(self, at):
        read.append(at)
        return image[at]
run = MLP(2, 3, width=16, depth=2, rngs=nnx.Rngs(0))
for epoch, (x, y) in zip(range(4), windows(Store(), key=jax.random.key(0), size=8, n_windows=32)):
    run = fit(run, x, y, n_epochs=1, **({} if epoch else dict(key=jax.random.key(1), batch_size=128)))
np.save(f"losses-{which}-{port > 0}.npy", run.losses)
np.save(f"read-{which}-{port > 0}.npy", len(read))
"""


def test_two_processes_read_a_half_each_and_learn_the_same(tmp_path):
    (tmp_path/"program.py").write_text(WINDOWED)
    port = free_port()
    def begin(which, port): return subprocess.Popen([sys.executable, "program.py", str(which), str(port)], cwd=tmp_path, env={**os.environ, "JAX_PLATFORMS": "cpu"}, stderr=subprocess.PIPE, text=True)
    processes = [begin(0, port), begin(1, port), begin(0, 0)]
    said = [p.communicate(timeout=200)[1] for p in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], said
    ours, theirs, alone = (np.load(tmp_path/f"losses-{name}.npy") for name in ("0-True", "1-True", "0-False"))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(ours, alone, rtol=1e-4)
    halves, whole = [int(np.load(tmp_path/f"read-{i}-True.npy")) for i in (0, 1)], int(np.load(tmp_path/"read-0-False.npy"))
    assert sum(halves) == whole and max(halves) < .6*whole


CLOCKS = """
import sys, time
from types import SimpleNamespace
import jax
from skimage import data
from cadl_flax import painting
from cadl_flax.pictures import shrink
which, port = map(int, sys.argv[1:])
jax.distributed.initialize(f"127.0.0.1:{port}", 2, which)
painting.time = SimpleNamespace(perf_counter=lambda: (1 + 9*which)*time.perf_counter())
assert painting._agreed(which + .3) == .3
painted = painting.paint(shrink(data.astronaut(), 24), seconds=3, n_frames=2)
print(painted.run.epoch, painted.psnr)
"""


def test_the_first_clock_counts(tmp_path):
    "One process has a clock that runs ten times faster."
    (tmp_path/"program.py").write_text(CLOCKS)
    port = free_port()
    processes = [subprocess.Popen([sys.executable, "program.py", str(i), str(port)], cwd=tmp_path, env={**os.environ, "JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in (0, 1)]
    codes, said = ended(processes)
    assert codes == [0, 0], said
    assert len({words.splitlines()[-1] for words, _ in said}) == 1, said


@pytest.mark.parametrize("args, words", [
    (["--processes", "2", "--process", "2", "--coordinator", "127.0.0.1:1"], "--process 2 must be below --processes 2"),
    (["--processes", "2", "--process", "1", "--coordinator", "here"], "--coordinator here must be HOST:PORT"),
    (["--processes", "0"], "0 is not between 1"),
    (["--processes", "2"], "--processes, --process and --coordinator are needed"),
])
def test_processes_that_cannot_meet_are_refused(tmp_path, args, words):
    done = subprocess.run([sys.executable, "-m", "cadl_flax", "paint", "--size", "8", "--quiet", *args], cwd=tmp_path, capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if not re.match("SLURM|OMPI|JAX_COORD|KUBERNETES", k)})
    assert done.returncode == 2 and done.stdout == "" and words in done.stderr, done
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_ours_is_not_taken_for_a_process_that_is_gone(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert "a process is gone" in str(cli._gone(ValueError("UNKNOWN: Gloo all-reduce failed\nat some place")))
    assert cli._gone(ValueError("learning_rate=5 is too large: the loss of epoch 1 is nan")) is None
    def diverges():
        yield
        raise ValueError("learning_rate=5 is too large")
    with pytest.raises(cli._Fault, match="too large") as fault: cli._follow(diverges())
    assert fault.value.exit_code == 2


def test_two_that_find_other_paintings_do_not_mix_them(unbroken):
    folder = unbroken[0].parent
    for name in "ab": (folder/name).mkdir()
    subprocess.run([sys.executable, "-m", "cadl_flax", "paint", "--size", "32", "--epochs", "40", "--quiet", "--checkpoint", "kept"], cwd=folder/"a", check=True, env=own_cache(folder))
    port = free_port()
    codes, said = ended([begin(folder/"b", 0, port, "--checkpoint", "kept"), begin(folder/"a", 1, port, "--checkpoint", "kept")])
    assert codes == [2, 2] and all("kept is not the same place for all processes: it holds the epochs 0, 40" in errors for _, errors in said), said
    port = free_port()
    codes, said = ended([begin(folder/"b", 0, port), begin(folder/"b", 1, port, "--seed", "1")])
    assert codes == [2, 2] and all("the picture or an option is not the same" in errors for _, errors in said), said
    assert not (folder/"b"/"painting.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc: anonymous memory cannot be read off")
def test_a_gigapixel(tmp_path):
    "Eight gigabytes of disk, and some minutes. Reading counts as part of a step."
    done = subprocess.run([sys.executable, ROOT/"tests"/"benchmarks"/"peers"/"gigapixel.py", "32768", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["pixels"] == 2**30 and found["peak_kib"] < 3*2**20
    assert found["step"] < 1.5*found["step_in_memory"]
    assert found["psnr"] > 20
