"""Several devices, several processes, and images that stay on the disk.

What needs devices that are not there starts programs that pretend to have them."""

import contextlib
import itertools
import json
import os
import random
import re
import shutil
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
from skimage import data
from test_cli import newest, own_cache

from cadl_flax import __main__ as cli
from cadl_flax.painting import paint
from cadl_flax.pictures import coordinates, pixels, psnr, read_image, render, shrink
from cadl_flax.scaling import patches, save_tiff
from cadl_flax.tracking import load

KEY = jax.random.key(0)
NUMBERED = np.arange(20 * 31, dtype=np.uint16).reshape(20, 31)


def program(tmp_path, text, **environment):
    "What a program that pretends to have eight devices prints, as JSON."
    (tmp_path / "program.py").write_text(text)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "8", **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def free_port():
    "A port on which processes can meet."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def numbers(y):
    "Which pixels of `NUMBERED` these colours are of."
    return (np.asarray(y)[:, 0] * 65535).round().astype(int)


@given(st.integers(1, 7), st.integers(1, 12), st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_windows_are_rows_of_the_table_and_none_comes_twice(size, n_patches, epoch):
    assume(n_patches <= (20 // size) * (31 // size))
    x, y = next(patches(NUMBERED, key=KEY, epoch=epoch, patch=size, n_patches=n_patches))
    found = numbers(y)
    assert len(set(found)) == len(found) == n_patches * size**2
    np.testing.assert_array_equal(x, coordinates(20, 31)[found])
    np.testing.assert_array_equal(y, pixels(NUMBERED)[1][found])


def test_a_round_reads_every_window_once_and_rounds_are_fair():
    n_rounds, counts = 120, np.zeros(NUMBERED.size, int)
    epochs = patches(NUMBERED, key=KEY, patch=4, n_patches=5)
    for _ in range(n_rounds):
        read = np.concatenate([numbers(next(epochs)[1]) for _ in range(7)])
        assert len(set(read)) == len(read) == 560  # five rows of seven patches, of 16 pixels
        counts[read] += 1
    share = 560 / NUMBERED.size  # of the pixels, read in a round
    standard_deviation = np.sqrt(n_rounds * share * (1 - share))
    assert abs(counts - n_rounds * share).max() < 4.5 * standard_deviation


def as_memmap(image, folder):
    "The image in a file without a header."
    stored = np.memmap(folder / "x", np.uint8, "w+", shape=image.shape)
    stored[:] = image
    yield stored


def as_tiff(image, folder):
    "The image in a TIFF without compression."
    tifffile.imwrite(folder / "x.tif", image, photometric="rgb")
    yield tifffile.memmap(folder / "x.tif", mode="r")


def as_tiled_tiff(image, folder):
    "The image in a TIFF of compressed tiles, read as zarr."
    options = dict(photometric="rgb", tile=(32, 32), compression="zlib")
    tifffile.imwrite(folder / "x.tif", image, **options)
    with tifffile.imread(folder / "x.tif", aszarr=True) as store:
        yield zarr.open(store, mode="r")


def as_zarr(image, folder):
    "The image in chunks, in a folder."
    options = dict(shape=image.shape, chunks=(32, 32, 3), dtype="uint8")
    stored = zarr.create_array(str(folder / "x.zarr"), **options)
    stored[:] = image
    yield stored


STORES = {"memmap": as_memmap, "tiff": as_tiff, "tiled": as_tiled_tiff, "zarr": as_zarr}


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_an_image_is_whatever_can_be_sliced(tmp_path, store):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    options = dict(key=KEY, patch=8, n_patches=12)
    with contextlib.contextmanager(store)(image, tmp_path) as stored:
        epochs = zip(patches(stored, **options), patches(image, **options))
        for ours, theirs in itertools.islice(epochs, 3):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def rising(channels):
    "A model that is brighter further out, and in later channels."

    def model(x):
        distances = abs(x @ np.ones((2, channels), np.float32) / 2)
        return distances + np.arange(channels, dtype=np.float32) / 9

    return model


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_holds_what_render_paints(tmp_path, channels, dtype):
    model, path = rising(channels), tmp_path / "x.tif"
    save_tiff(model, path, 70, 101, tile=32, dtype=dtype)
    expected = (render(model, 70, 101).astype(np.float64) * np.iinfo(dtype).max).round()
    saved = tifffile.imread(path).reshape(70, 101, channels)
    assert saved.dtype == dtype
    assert abs(saved - expected).max() <= 1
    assert (saved != expected).mean() < 0.01
    if dtype == np.uint8:
        np.testing.assert_array_equal(read_image(path).reshape(saved.shape), saved)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].is_tiled
        assert not tiff.is_bigtiff


def test_a_tiff_that_fails_leaves_nothing(tmp_path):
    def model(x):
        return jax.numpy.where(x[:, :1] > 0.5, np.nan, 0.5)

    with pytest.raises(ValueError, match="NaN"):
        save_tiff(model, tmp_path / "x.tif", 64, 64, tile=16)
    assert list(tmp_path.iterdir()) == []


EIGHT = """
import json
import re

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from skimage import data

from cadl_flax import training
from cadl_flax.encodings import HashGrid
from cadl_flax.networks import MLP
from cadl_flax.painting import mlp_behind, paint
from cadl_flax.pictures import pixels, render, shrink
from cadl_flax.scaling import patches
from cadl_flax.tracking import load, save

KEY = jax.random.key(1)
COLLECTIVES = [
    "all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-permute"
]
x, y = pixels(shrink(data.astronaut(), 64))
devices = Mesh(jax.devices(), ("batch",))
explicit = jax.make_mesh((8,), ("batch",), axis_types=(AxisType.Explicit,))


def put(array, *axes, mesh=devices):
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))


def on_one(array):
    return array


def largest_ratio(a, b):
    return float(abs(np.asarray(a) / np.asarray(b) - 1).max())


def losses(network, place, **settings):
    settings = dict(key=KEY, batch_size=512) | settings
    return training.fit(network, place(x), place(y), **settings).losses


def count_collectives(network):
    begun = training.begin_run(network, x, y, key=KEY, batch_size=512)
    options = dict(
        loss=begun.loss,
        optimizer=begun.optimizer,
        batch_size=512,
        n_batches=None,
        n_epochs=25,
        observe=None,
        offsets=None,
        mesh=devices,
    )
    arguments = (begun.state, put(x), put(y), begun.key, 0)
    text = training._train.lower(*arguments, **options).compile().as_text()
    return {
        name: len(re.findall(rf"= .*\\s{name}(?:-start)?\\(", text)) for name in COLLECTIVES
    }


def compare(network, one, eight):
    uneven = dict(batch_size=50, n_batches=8, n_epochs=1)
    by_rows = losses(network, lambda a: put(a, "batch"), n_epochs=2)
    other_axes = losses(network, lambda a: put(a, mesh=explicit), n_epochs=2)
    gathered = jax.tree.map(np.asarray, eight.model)
    return dict(
        steps=one.losses.size,
        apart=largest_ratio(eight.losses, one.losses),
        count=count_collectives(network),
        rows=largest_ratio(by_rows, one.losses[:2]),
        axes=largest_ratio(other_axes, one.losses[:2]),
        uneven=largest_ratio(losses(network, put, **uneven), losses(network, on_one, **uneven)),
        devices=len(jax.tree.leaves(eight.state)[0].devices()),
        render=float(abs(render(eight.model, 33, 21) - render(gathered, 33, 21)).max()),
    )


def goes_on(run, place):
    return training.fit(run, place(x), place(y), n_epochs=5).losses


networks = dict(
    smooth=MLP(2, 3, width=64, depth=3, activation=nnx.gelu, rngs=nnx.Rngs(0)),
    grid=mlp_behind(HashGrid, finest=32, depth=2)(2, 3, rngs=nnx.Rngs(0)),
)
found = {}
for name, network in networks.items():
    one = training.fit(network, x, y, key=KEY, batch_size=512, n_epochs=25)
    eight = training.fit(network, put(x), put(y), key=KEY, batch_size=512, n_epochs=25)
    found[name] = compare(network, one, eight)

save(eight, "eight.safetensors")
save(one, "one.safetensors")
eight_on_one = goes_on(load("eight.safetensors", one), on_one)
one_on_eight = goes_on(load("one.safetensors", eight), put)
found["resumed"] = dict(
    eight_on_one=largest_ratio(eight_on_one, goes_on(eight, put)),
    one_on_eight=largest_ratio(one_on_eight, goes_on(one, on_one)),
)

photo = shrink(data.astronaut(), 64)
rows = next(patches(photo, key=jax.random.key(0), patch=8, n_patches=16))
unequal = next(patches(photo, key=jax.random.key(0), patch=5, n_patches=3))
found["patches"] = [
    [len(x.sharding.device_set), str(x.sharding.spec), len(x)] for x, _ in (rows, unequal)
]
np.savez("patches.npz", *rows)
found["paint"] = paint(shrink(data.astronaut(), 32), n_epochs=30, n_frames=1).psnr
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    "The folder of the program for eight devices, and what it prints."
    folder = tmp_path_factory.mktemp("eight")
    return folder, program(folder, EIGHT)


@pytest.mark.parametrize("name, furthest", [("smooth", 1e-5), ("grid", 0.05)])
def test_eight_devices_do_what_one_does(eight, name, furthest):
    found = eight[1][name]
    assert found["steps"] == 200
    assert found["apart"] < furthest
    assert found["devices"] == 8
    assert found["render"] < 1e-5
    assert max(found["rows"], found["axes"], found["uneven"]) < 1e-5


@pytest.mark.parametrize("name", ["smooth", "grid"])
def test_eight_devices_meet_once_a_step(eight, name):
    assert eight[1][name]["count"] == {
        "all-reduce": 1,
        "all-gather": 0,
        "all-to-all": 0,
        "reduce-scatter": 0,
        "collective-permute": 0,
    }


def test_what_eight_devices_kept_goes_on_with_one_and_the_other_way_round(eight):
    assert max(eight[1]["resumed"].values()) < 1e-3


def test_windows_are_shared_out_if_they_can_be_and_copied_else(eight):
    assert eight[1]["patches"] == [[8, "P('batch',)", 1024], [8, "P()", 75]]


def test_windows_are_the_same_for_eight_devices(eight):
    photo = shrink(data.astronaut(), 64)
    rows = next(patches(photo, key=KEY, patch=8, n_patches=16))
    with np.load(eight[0] / "patches.npz") as theirs:
        for name, ours in zip(theirs.files, rows, strict=True):
            np.testing.assert_array_equal(theirs[name], ours)


def test_paint_uses_every_device(eight):
    painting = paint(shrink(data.astronaut(), 32), n_epochs=30, n_frames=1)
    assert abs(painting.psnr - eight[1]["paint"]) < 0.1


PAINT = [sys.executable, "-m", "cadl_flax", "paint", "--size", "32", "--epochs", "40"]


def begin(folder, process, port, *more):
    "Start one of two processes that paint together."
    meeting = ["--processes", "2", "--coordinator", f"127.0.0.1:{port}"]
    return subprocess.Popen(
        [*PAINT, *meeting, "--process", str(process), *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=own_cache(folder.parent),
    )


def paint_alone(folder, *more):
    "Paint the same by one process."
    subprocess.run([*PAINT, "--quiet", *more], cwd=folder, check=True, env=own_cache(folder.parent))


def together(folder, *more):
    "Start two processes that paint together."
    folder.mkdir(exist_ok=True)
    port = free_port()
    return [begin(folder, process, port, *more) for process in (0, 1)]


def ended(processes):
    "The exit codes of processes, and for each what it has printed and its errors."
    outputs = [process.communicate(timeout=200) for process in processes]
    return [process.returncode for process in processes], outputs


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    "A folder with what two processes painted without a break, and what they printed."
    folder = tmp_path_factory.mktemp("two") / "unbroken"
    codes, outputs = ended(together(folder, "--json"))
    assert codes == [0, 0], outputs
    return folder, outputs


def test_two_processes_paint_what_one_paints(unbroken):
    folder, outputs = unbroken
    (printed, _), (printed_by_second, _) = outputs
    facts = json.loads(printed)
    assert printed_by_second == ""
    assert facts["epochs"] == 40
    paint_alone(folder, "--out", "one.png")
    two, one = load(folder / "painting.safetensors"), load(folder / "one.safetensors")
    assert abs(two.psnr - one.psnr) < 0.1
    assert two.psnr == facts["psnr"]
    np.testing.assert_allclose(two.losses[:5], one.losses[:5], rtol=1e-5)
    np.testing.assert_allclose(two.losses, one.losses, rtol=0.05)
    assert psnr(two.render(), one.render()) > 35


KEPT = ("--checkpoint", "kept", "--every", "0", "--quiet")


def one_killed(folder, which):
    "Two processes paint, and one is killed after ten epochs: exit codes and outputs."
    processes = together(folder, *KEPT)
    while newest(folder / "kept") < 10 and processes[0].poll() is None:
        time.sleep(0.01)
    processes[which].kill()
    codes, outputs = ended(processes)
    assert codes[which] == -9, outputs
    assert newest(folder / "kept") < 40, outputs
    return codes, outputs


def assert_goes_on(folder, unbroken_folder):
    "Look that both, typed again, end at the painting that nothing has stopped."
    codes, outputs = ended(together(folder, *KEPT))
    assert codes == [0, 0], outputs
    ours = load(folder / "painting.safetensors")
    theirs = load(unbroken_folder / "painting.safetensors")
    assert ours.run.epoch == 40
    assert ours.losses == theirs.losses
    np.testing.assert_array_equal(ours.render(), theirs.render())


@pytest.mark.slow
def test_the_first_of_two_is_killed_and_both_are_started_again(unbroken):
    folder = unbroken[0].parent / "killed0"
    codes, _ = one_killed(folder, 0)
    # JAX itself ends those that have lost the first one, if it is quicker
    assert codes[1] in (3, -6)
    assert_goes_on(folder, unbroken[0])


def test_the_second_of_two_is_killed_and_both_are_started_again(unbroken):
    folder = unbroken[0].parent / "killed1"
    codes, outputs = one_killed(folder, 1)
    assert codes[0] == 3
    assert "cadl-flax: a process is gone" in outputs[0][1]
    assert (folder / "painting.png").exists()
    assert_goes_on(folder, unbroken[0])


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(6))
def test_two_are_killed_at_any_moment_and_started_again(unbroken, moment):
    rng = random.Random(moment)
    folder = unbroken[0].parent / f"moment{moment}"
    epoch, later = rng.randrange(0, 35), rng.uniform(0, 0.05)
    victims = ((0,), (1,), (0, 1))[moment % 3]
    processes = together(folder, *KEPT)
    while newest(folder / "kept") < epoch and processes[0].poll() is None:
        time.sleep(0.001)
    time.sleep(later)
    for victim in victims:
        processes[victim].kill()
    codes, outputs = ended(processes)
    assert [codes[victim] for victim in victims] == [-9] * len(victims), outputs
    assert_goes_on(folder, unbroken[0])


WINDOWED = """
import sys

import jax
import numpy as np
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.scaling import patches
from cadl_flax.training import fit

process, port = map(int, sys.argv[1:])
if port:
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
image = np.random.default_rng(0).integers(0, 255, (100, 120, 3)).astype(np.uint8)
read = []


class Store:
    "An image that remembers what was read of it."
    shape, dtype = image.shape, image.dtype

    def __getitem__(self, at):
        read.append(at)
        return image[at]


epochs = patches(Store(), key=jax.random.key(0), patch=8, n_patches=32)
model = MLP(2, 3, width=16, depth=2, rngs=nnx.Rngs(0))
x, y = next(epochs)
run = fit(model, x, y, key=jax.random.key(1), batch_size=128, n_epochs=1)
for _ in range(3):
    x, y = next(epochs)
    run = fit(run, x, y, n_epochs=1)
np.save(f"losses-{process}-{port > 0}.npy", run.losses)
np.save(f"read-{process}-{port > 0}.npy", len(read))
"""


def begin_program(folder, text, process, port):
    "Start a program as one of two processes, or alone if `port` is 0."
    path = folder / "program.py"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, path, str(process), str(port)],
        cwd=folder,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_read_a_half_each_and_learn_the_same(tmp_path):
    port = free_port()
    meetings = [(0, port), (1, port), (0, 0)]
    codes, outputs = ended([begin_program(tmp_path, WINDOWED, *meeting) for meeting in meetings])
    assert codes == [0, 0, 0], outputs
    names = ["0-True", "1-True", "0-False"]
    first, second, alone = (np.load(tmp_path / f"losses-{name}.npy") for name in names)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, rtol=1e-4)
    *halves, whole = (int(np.load(tmp_path / f"read-{name}.npy")) for name in names)
    assert sum(halves) == whole
    assert max(halves) < 0.6 * whole


CLOCKS = """
import sys
import time
from types import SimpleNamespace

import jax
from skimage import data

from cadl_flax import painting
from cadl_flax.pictures import shrink

process, port = map(int, sys.argv[1:])
jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
speed = 1 + 9 * process
painting.time = SimpleNamespace(perf_counter=lambda: speed * time.perf_counter())
assert painting.agree(process + 0.3) == 0.3
painted = painting.paint(shrink(data.astronaut(), 24), seconds=3, n_frames=2)
print(painted.run.epoch, painted.psnr)
"""


def test_the_first_clock_counts(tmp_path):
    "One process has a clock that runs ten times faster."
    port = free_port()
    processes = [begin_program(tmp_path, CLOCKS, process, port) for process in (0, 1)]
    codes, outputs = ended(processes)
    assert codes == [0, 0], outputs
    last_lines = {printed.splitlines()[-1] for printed, _ in outputs}
    assert len(last_lines) == 1, outputs


def without_clusters():
    "The environment without the variables by which clusters tell processes of each other."
    of_clusters = re.compile("SLURM|OMPI|JAX_COORD|KUBERNETES")
    return {name: value for name, value in os.environ.items() if not of_clusters.match(name)}


@pytest.mark.parametrize(
    "args, message",
    [
        (
            ["--processes", "2", "--process", "2", "--coordinator", "127.0.0.1:1"],
            "--process 2 must be below --processes 2",
        ),
        (
            ["--processes", "2", "--process", "1", "--coordinator", "here"],
            "--coordinator here must be HOST:PORT",
        ),
        (
            ["--processes", "0"],
            "0 is not between 1",
        ),
        (
            ["--processes", "2"],
            "--processes, --process and --coordinator are needed",
        ),
    ],
    ids=["no such process", "no port", "no processes", "no coordinator"],
)
def test_processes_that_cannot_meet_are_refused(tmp_path, args, message):
    done = subprocess.run(
        [sys.executable, "-m", "cadl_flax", "paint", "--size", "8", "--quiet", *args],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=without_clusters(),
    )
    assert done.returncode == 2, done
    assert done.stdout == "", done
    assert message in done.stderr, done
    assert list(tmp_path.iterdir()) == []


def diverging():
    "Paintings that end in an error."
    yield
    raise ValueError("learning_rate=5 is too large")


def two():
    "In place of the number of processes."
    return 2


def test_a_fault_of_ours_is_not_taken_for_a_process_that_is_gone(monkeypatch):
    monkeypatch.setattr(jax, "process_count", two)
    of_gloo = ValueError("UNKNOWN: Gloo all-reduce failed\nat some place")
    of_ours = ValueError("learning_rate=5 is too large: the loss of epoch 1 is nan")
    assert "a process is gone" in str(cli._lost_process(of_gloo))
    assert cli._lost_process(of_ours) is None
    with pytest.raises(cli.Fault, match="too large") as fault:
        cli._follow(diverging())
    assert fault.value.exit_code == 2


def assert_both_refuse(processes, message):
    "Look that both processes end with the exit code of bad input, and say so."
    codes, outputs = ended(processes)
    assert codes == [2, 2], outputs
    for _, errors in outputs:
        assert message in errors, outputs


@pytest.fixture
def two_folders(unbroken):
    "Empty folders for two processes that should have one."
    parent = unbroken[0].parent
    folders = parent / "a", parent / "b"
    for folder in folders:
        folder.mkdir()
    yield folders
    for folder in folders:
        shutil.rmtree(folder)


def test_two_that_find_other_paintings_do_not_mix_them(two_folders):
    a, b = two_folders
    paint_alone(a, "--checkpoint", "kept")
    port = free_port()
    processes = [
        begin(b, 0, port, "--checkpoint", "kept"),
        begin(a, 1, port, "--checkpoint", "kept"),
    ]
    message = "kept is not the same place for all processes: it holds the epochs 0, 40"
    assert_both_refuse(processes, message)


def test_two_that_are_asked_for_other_paintings_do_not_mix_them(two_folders):
    _, b = two_folders
    port = free_port()
    processes = [begin(b, 0, port), begin(b, 1, port, "--seed", "1")]
    assert_both_refuse(processes, "the picture or an option is not the same")
    assert not (b / "painting.png").exists()


GIGAPIXEL = ROOT / "benchmarks" / "peers" / "gigapixel.py"


@pytest.mark.slow
@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="no /proc: anonymous memory cannot be read off"
)
def test_a_gigapixel(tmp_path):
    "Eight gigabytes of disk, and some minutes. Reading counts as part of a step."
    line = [sys.executable, GIGAPIXEL, "32768", tmp_path]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["pixels"] == 2**30
    assert found["peak_kib"] < 3 * 2**20
    assert found["step"] < 1.5 * found["step_in_memory"]
    assert found["psnr"] > 20
