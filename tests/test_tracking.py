"What is saved comes back, bit for bit, and nothing else is believed."

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
from flax import nnx
from skimage import data

from cadl_flax.checkpoints import keep
from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures
from cadl_flax.grids import mlp_behind
from cadl_flax.many_pictures import ManyPictures
from cadl_flax.networks import MLP, Siren
from cadl_flax.painting import paint, paint_chunks
from cadl_flax.pictures import psnr, shrink
from cadl_flax.tracking import _digest, load, load_with_settings, read_settings, read_words, save
from cadl_flax.training import fit, fit_chunks

rng = np.random.default_rng(0)
X, Y = np.float32(rng.uniform(-1, 1, (200, 2))), np.float32(rng.random((200, 3)))
NETWORKS = {
    "mlp": lambda r: MLP(2, 3, width=8, depth=2, rngs=r),
    "siren": lambda r: Siren(2, 3, width=8, rngs=r),
    "waves": lambda r: mlp_behind(FourierFeatures, width=8)(2, 3, rngs=r),
    "grid": lambda r: mlp_behind(HashGrid, finest=8, width=8)(2, 3, rngs=r),
    "linear": lambda r: nnx.Linear(2, 3, rngs=r),
    "list": lambda r: nnx.Sequential(nnx.Linear(2, 4, rngs=r), nnx.relu, nnx.Linear(4, 3, rngs=r)),
}


def plain(leaf):
    "A leaf as numbers, keys of random numbers included."
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def same(a, b):
    "Look that two trees have the same structure, dtypes and numbers."
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        assert (plain(x) == plain(y)).all()


def network(name, seed=0):
    "One of `NETWORKS`, with numbers of its own for every seed."
    return NETWORKS[name](nnx.Rngs(seed))


def trained(name, seed=0, **settings):
    "A run of one of `NETWORKS`."
    return fit(network(name, seed), X, Y, key=jax.random.key(seed + 5), **settings)


def metadata(path):
    "What a file says of itself."
    with safetensors.safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["cadl_flax"])


def write(path, arrays, words):
    "A file of format 2, whatever its words."
    path.write_bytes(safetensors.numpy.save(arrays, {"cadl_flax": json.dumps(words)}))


@pytest.fixture
def path(tmp_path):
    "Where the file of a test is to be."
    return tmp_path / "x.safetensors"


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_comes_back(path, name):
    model, start = network(name), network(name, seed=1)
    save(model, path)
    before = jax.tree.map(jnp.copy, start)
    same(load(path, start), model)
    same(start, before)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_are_enough_to_load_a_network(path, name):
    model = network(name)
    save(model, path)
    same(load(path, nnx.eval_shape(lambda: network(name, seed=2))), model)


def test_many_pictures_come_back(path):
    model = ManyPictures(4, rngs=nnx.Rngs(0))
    save(model, path)
    same(load(path, ManyPictures(4, rngs=nnx.Rngs(1))), model)
    with pytest.raises(ValueError, match="of shape .4, 16., start has .5, 16."):
        load(path, ManyPictures(5, rngs=nnx.Rngs(1)))


RUNS = {
    "adam": {},
    "another rate": dict(learning_rate=3e-3),
    "momentum": dict(optimizer=optax.sgd(0.01, momentum=0.9)),
    "drawn batches": dict(batch_size=32, n_batches=5),
}


@pytest.mark.parametrize("settings", RUNS.values(), ids=RUNS)
def test_going_on_is_not_having_stopped(path, settings):
    run = trained("waves", n_epochs=3, **settings)
    save(run, path)
    start = trained("waves", seed=1, n_epochs=1, optimizer=settings.get("optimizer"))
    back = load(path, start)
    assert (back.epoch, back.batch_size, back.n_batches) == (3, run.batch_size, run.n_batches)
    same((back.state, back.key, back.losses), (run.state, run.key, run.losses))
    same(fit(back, X, Y, n_epochs=4).state, fit(run, X, Y, n_epochs=4).state)


LOAD_AND_SAVE = """
import sys
from flax import nnx
from cadl_flax.networks import Siren
from cadl_flax.tracking import load, save
save(load(sys.argv[1], Siren(2, 3, width=8, rngs=nnx.Rngs(9))), sys.argv[2])
"""


def test_another_process_reads_the_same(tmp_path):
    ours, theirs = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    save(network("siren"), ours)
    subprocess.run([sys.executable, "-c", LOAD_AND_SAVE, ours, theirs], check=True)
    x, y = safetensors.numpy.load_file(ours), safetensors.numpy.load_file(theirs)
    assert x.keys() == y.keys()
    assert all((x[name] == y[name]).all() for name in x)


def test_the_file_says_what_it_is(path):
    settings = {"photo": "a", "size": [1, 2]}
    save(trained("mlp", n_epochs=2), path, settings=settings)
    facts = metadata(path)
    assert facts["kind"] == "run"
    assert facts["epoch"] == 2
    assert facts["settings"] == settings
    assert set(facts["versions"]) == {"cadl_flax", "jax", "flax"}


@pytest.mark.parametrize("name, other", list(itertools.permutations(NETWORKS, 2)))
def test_another_network_is_refused(path, name, other):
    save(network(name), path)
    with pytest.raises(ValueError, match="x.safetensors"):
        load(path, network(other))


OTHER_OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "optax's adam": optax.adam(1e-3),
    "momentum": optax.sgd(0.1, momentum=0.5),
}


@pytest.mark.parametrize("optimizer", OTHER_OPTIMIZERS.values(), ids=OTHER_OPTIMIZERS)
def test_another_optimizer_is_refused(path, optimizer):
    save(trained("mlp", n_epochs=1), path)
    other = trained("mlp", n_epochs=1, optimizer=optimizer)
    with pytest.raises(ValueError, match="another optimizer"):
        load(path, other)


def test_a_model_alone_is_no_run(path):
    run = trained("mlp", n_epochs=1)
    save(run.model, path)
    with pytest.raises(ValueError, match="not a run to go on with"):
        load(path, run)


DAMAGES = {
    "short": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "head": lambda content: content[:9],
    "empty": lambda content: content[:0],
    "long": lambda content: content + b"x",
    "huge header": lambda content: b"\xff" * 8 + content[8:],
    "no JSON": lambda content: content[:8] + b"[" + content[9:],
    "noise": lambda content: np.random.default_rng(0).bytes(500),
    "another bit": lambda content: content[:-5] + bytes([content[-5] ^ 64]) + content[-4:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_refused(path, damage):
    save(network("mlp"), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="damaged"):
        load(path, network("mlp", seed=1))


def test_a_dtype_of_another_kind_is_refused(path):
    model = network("linear")
    save(model, path)
    arrays = safetensors.numpy.load_file(path)
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    facts = metadata(path)
    write(path, wide, facts | {"digest": _digest(facts, wide)})
    with pytest.raises(ValueError, match="dtype F64"):
        load(path, model)


@pytest.mark.parametrize("lost", ["epoch", "batch_size", "n_batches", "digest", "format", "kind"])
def test_a_run_without_its_facts_is_refused(path, lost):
    run = trained("mlp", n_epochs=1)
    save(run, path)
    arrays, facts = safetensors.numpy.load_file(path), metadata(path)
    del facts[lost]
    if "digest" in facts and "format" in facts:
        facts["digest"] = _digest(facts, arrays)
    write(path, arrays, facts)
    with pytest.raises(ValueError, match="x.safetensors"):
        load(path, run)


class Mixed(nnx.Module):
    "Whole numbers, booleans and floats, which depend on `n`."

    def __init__(self, n):
        self.count = nnx.Variable(jnp.full(3, n))
        self.flags = nnx.Variable(jnp.arange(4) % 2 == n)
        self.w = nnx.Param(jnp.full((2, 2), n / 2))


def test_whole_numbers_and_booleans_are_kept(path):
    save(Mixed(1), path)
    same(load(path, Mixed(0)), Mixed(1))


def full_disk(*_):
    "In place of a call that needs space."
    raise OSError("no space left on device")


def test_a_failed_save_leaves_the_old_file(tmp_path, path, monkeypatch):
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        save(network("linear"), path, settings={"no JSON": save})
    with pytest.raises(OSError):
        save(network("linear"), tmp_path / "none" / "x.safetensors")
    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        save(network("linear"), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def last_run(runs, leave):
    "The last run of a loop that is left at its end, or at the fourth epoch."
    try:
        for run in runs:
            if run.epoch == 4 and leave == "break":
                break
            if run.epoch == 4 and leave == "error":
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    return run


@pytest.mark.parametrize("leave, epoch", [("break", 4), ("error", 4), ("end", 7)])
def test_the_last_run_is_kept_however_the_loop_is_left(tmp_path, leave, epoch):
    runs = fit_chunks(network("mlp"), X, Y, key=jax.random.key(5), n_epochs=7)
    kept = keep(runs, tmp_path, seconds=1000)
    run = last_run(kept, leave)
    kept.close()
    assert run.epoch == epoch
    same(load(tmp_path, run).state, run.state)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "best.safetensors",
        "epoch-00000001.safetensors",
        f"epoch-{epoch:08}.safetensors",
    ]


FIT_AND_SAVE = """
import sys
import jax
import numpy as np
from flax import nnx
from cadl_flax.networks import MLP
from cadl_flax.tracking import save
from cadl_flax.training import fit
x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
model = MLP(1, 1, width=4, depth=1, rngs=nnx.Rngs(0))
run = fit(model, x, x**2, key=jax.random.key(0), n_epochs=1)
save(run, sys.argv[1], settings=dict(b=1, a=[2, 3], c=None))
"""


def test_the_same_run_gives_the_same_bytes(tmp_path):
    "In other processes too, where strings hash to other numbers."
    paths = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for path in paths:
        subprocess.run([sys.executable, "-c", FIT_AND_SAVE, path], check=True)
    first, *others = [path.read_bytes() for path in paths]
    assert others == [first, first]


@pytest.mark.parametrize(
    "read", [read_words, read_settings, lambda path: load(path, network("mlp"))]
)
def test_a_changed_word_is_damage(path, read):
    save(network("mlp"), path, settings={"photo": "cat"})
    path.write_bytes(path.read_bytes().replace(b"cat", b"cow"))
    with pytest.raises(ValueError, match="damaged: its contents are not those"):
        read(path)


KERNEL = "model.kernel"
CHANGES = {
    "shape": lambda arrays: arrays | {KERNEL: arrays[KERNEL].reshape(4, 16)},
    "dtype": lambda arrays: arrays | {KERNEL: arrays[KERNEL].view(np.int32)},
    "name": lambda arrays: {"z" if name == KERNEL else name: arrays[name] for name in arrays},
    "number": lambda arrays: arrays | {KERNEL: arrays[KERNEL] + 1},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_array_of_another_name_or_shape_is_damage(path, change):
    save(nnx.Linear(8, 8, use_bias=False, rngs=nnx.Rngs(0)), path)
    words, arrays = metadata(path), safetensors.numpy.load_file(path)
    assert list(arrays) == [KERNEL]
    write(path, arrays, words)
    assert read_words(path) == words
    write(path, change(arrays), words)
    with pytest.raises(ValueError, match="damaged"):
        read_words(path)


OLD = Path(__file__).parent / "data" / "format-1.safetensors"


def small(in_features, out_features, *, rngs):
    return MLP(in_features, out_features, width=4, depth=1, rngs=rngs)


def test_a_file_of_format_1_goes_on():
    "Written by the first edition, after one epoch of three; the losses are what it got."
    photo = shrink(data.astronaut(), 8)
    like = next(paint_chunks(photo, network=small, n_epochs=1, n_frames=2))
    with pytest.warns(UserWarning, match="has format 1"):
        painting = load(OLD, like)
    assert (painting.run.epoch, painting.progress, painting.plan.n_epochs) == (1, 1 / 3, 3)
    assert psnr(painting.image, photo) > 25  # it was made smaller by another filter
    assert len(painting.frames) == 1
    np.testing.assert_allclose(painting.history, [0.4055876135826111])
    np.testing.assert_allclose(painting.run.model.out.bias[...].sum(), 0.014999899081885815)
    end = paint(painting)
    np.testing.assert_allclose(end.history[1:], [0.39236411452293396, 0.382684588432312], rtol=1e-4)
    assert end.psnr == pytest.approx(6.45694557, abs=1e-3)
    assert read_settings(OLD) == {"photo": "astronaut"} and read_words(OLD)["format"] == 1


def test_a_file_of_format_1_becomes_one_of_format_2(tmp_path):
    like = next(paint_chunks(shrink(data.astronaut(), 8), network=small, n_epochs=1, n_frames=2))
    with pytest.warns(UserWarning, match="has format 1"):
        old = load(OLD, like)
    save(old, tmp_path / "x.safetensors")
    new = load(tmp_path / "x.safetensors", like)
    same((new.run.state, new.run.key, new.run.losses), (old.run.state, old.run.key, old.run.losses))
    same((np.array(new.history), new.frames), (np.array(old.history), old.frames))
    assert (new.plan, new.progress, new.run.epoch) == (old.plan, old.progress, old.run.epoch)
    assert read_words(tmp_path / "x.safetensors")["format"] == 2


def test_format_1_finds_changed_numbers(tmp_path):
    content = bytearray(OLD.read_bytes())
    content[-1] ^= 1
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_words(tmp_path / "x.safetensors")


def test_a_file_of_format_1_by_a_named_network_needs_no_start(tmp_path):
    painting = paint(shrink(data.astronaut(), 8), network="mlp", n_epochs=1, seconds=60)
    save(painting, tmp_path / "new.safetensors")
    words = read_words(tmp_path / "new.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "new.safetensors")
    words |= {"format": 1, "digest": _digest({"format": 1}, arrays)}
    words["plan"]["n_epochs"] = float("inf")  # as format 1 had it
    texts = {k: v if k in ("kind", "loss", "digest") else json.dumps(v) for k, v in words.items()}
    (tmp_path / "old.safetensors").write_bytes(safetensors.numpy.save(arrays, texts))
    with pytest.warns(UserWarning, match="has format 1"):
        back = load(tmp_path / "old.safetensors")
    same(back.run.state, painting.run.state)
    assert back.network == "mlp" and back.plan == replace(painting.plan, n_epochs=float("inf"))


FOREIGN = [None, {}, {"format": "pt"}, {"author": "somebody"}, {"cadl_flax": "{}"}]


@pytest.mark.parametrize("words", FOREIGN)
def test_metadata_of_other_programs_is_not_ours(path, words):
    path.write_bytes(safetensors.numpy.save({"weight": np.zeros(3, np.float32)}, words))
    for start in (None, network("mlp")):
        with pytest.raises(ValueError, match="x.safetensors (was not written|says format)"):
            load(path, start)


def test_a_file_is_read_once(tmp_path, monkeypatch):
    save(paint(shrink(data.astronaut(), 8), network="mlp", n_epochs=1), tmp_path / "x.safetensors")
    opened = []
    safe_open = safetensors.safe_open

    def counted(*arguments):
        opened.append(arguments)
        return safe_open(*arguments)

    monkeypatch.setattr(safetensors, "safe_open", counted)
    load_with_settings(tmp_path / "x.safetensors")
    assert len(opened) == 1


def test_whole_numbers_of_numpy_are_kept(tmp_path):
    "As whole numbers, or `geomspace` would refuse the count of frames."
    photo = shrink(data.astronaut(), 8)
    n = np.int64(4)
    for half in paint_chunks(photo, network="mlp", n_epochs=n, n_frames=n, batch_size=n):
        if half.run.epoch == 2:
            save(half, tmp_path / "x.safetensors")
    assert paint(load(tmp_path / "x.safetensors")).history == half.history


def with_word(path, name, value):
    "A copy of a file that says something else, with a digest that is right."
    arrays, words = safetensors.numpy.load_file(path), metadata(path) | {name: value}
    if value is None:
        del words[name]
    words["digest"] = _digest(words, arrays)
    other = path.with_name(f"{path.name}-{name}-{value}")
    write(other, arrays, words)
    return other


def test_a_run_goes_on_with_its_own_random_generator(tmp_path):
    "Whatever the environment says by then, also if the file does not say which it was."
    image = np.random.default_rng(0).random((8, 8, 3))
    for generator in ("threefry2x32", "rbg"):
        other = {"threefry2x32": "rbg", "rbg": "threefry2x32"}[generator]
        with jax.default_prng_impl(generator):
            painting = paint(image, n_epochs=1, network="mlp")
            save(painting, tmp_path / "painting")
            unbroken = paint(painting, n_epochs=1)
        for path in (tmp_path / "painting", with_word(tmp_path / "painting", "generator", None)):
            with jax.default_prng_impl(other):
                resumed = paint(load(path), n_epochs=1)
            assert jax.random.key_impl(resumed.run.key) == generator
            np.testing.assert_array_equal(resumed.losses, unbroken.losses)


def test_a_random_generator_that_does_not_exist_is_refused(tmp_path):
    painting = paint(np.zeros((8, 8, 3)), n_epochs=1, network="mlp")
    save(painting, tmp_path / "painting")
    for name in ("nonsense", 3, "rbg"):
        path = with_word(tmp_path / "painting", "generator", name)
        with pytest.raises(ValueError, match="generator|key of shape"):
            load(path)


def test_the_older_homes_of_names():
    from cadl_flax import checkpoints, tracking

    for name in ("keep", "locked"):
        assert getattr(tracking, name) is getattr(checkpoints, name)
    with pytest.raises(AttributeError, match="has no attribute 'kept'"):
        getattr(tracking, "kept")


def test_a_newer_file_in_the_folder_is_not_removed(tmp_path):
    "It is not damaged: a newer version can open it."
    runs = list(fit_chunks(network("mlp"), X, Y, key=jax.random.key(5), n_epochs=3))
    list(keep(runs, tmp_path, seconds=0))
    newest = tmp_path / "epoch-00000003.safetensors"
    content = newest.read_bytes().replace(b'\\"format\\": 2', b'\\"format\\": 3')
    newest.write_bytes(content)
    with pytest.raises(ValueError, match="has format 3"):
        next(keep(runs, tmp_path))
    assert newest.read_bytes() == content
    newest.write_bytes(content[:-1])
    list(keep(runs[2:], tmp_path))
    assert load(tmp_path, runs[0]).epoch == 3
