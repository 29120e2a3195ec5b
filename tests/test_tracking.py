"What is saved comes back, bit for bit, and nothing else is believed."
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
from flax import nnx

from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures
from cadl_flax.gallery import ManyPictures
from cadl_flax.networks import MLP, Siren
from cadl_flax.painting import mlp_behind
from cadl_flax.tracking import keep, load, save
from cadl_flax.training import fit, fit_chunks

rng = np.random.default_rng(0)
X, Y = np.float32(rng.uniform(-1, 1, (200, 2))), np.float32(rng.random((200, 3)))
NETWORKS = {"mlp": lambda r: MLP(2, 3, width=8, depth=2, rngs=r), "siren": lambda r: Siren(2, 3, width=8, rngs=r), "waves": lambda r: mlp_behind(FourierFeatures, width=8)(2, 3, rngs=r),
            "grid": lambda r: mlp_behind(HashGrid, finest=8, width=8)(2, 3, rngs=r), "linear": lambda r: nnx.Linear(2, 3, rngs=r), "list": lambda r: nnx.Sequential(nnx.Linear(2, 4, rngs=r), nnx.relu, nnx.Linear(4, 3, rngs=r))}


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and (jax.random.key_data(x) == jax.random.key_data(y) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x == y).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_comes_back(tmp_path, name):
    model, other = NETWORKS[name](nnx.Rngs(0)), NETWORKS[name](nnx.Rngs(1))
    save(model, tmp_path/"x.safetensors")
    before = jax.tree.map(jnp.copy, other)
    same(load(tmp_path/"x.safetensors", other), model)
    same(other, before)
    same(load(tmp_path/"x.safetensors", nnx.eval_shape(lambda: NETWORKS[name](nnx.Rngs(2)))), model)


def test_many_pictures_come_back(tmp_path):
    save(model := ManyPictures(4, rngs=nnx.Rngs(0)), tmp_path/"x.safetensors")
    same(load(tmp_path/"x.safetensors", ManyPictures(4, rngs=nnx.Rngs(1))), model)
    with pytest.raises(ValueError, match="of shape .4, 16., start has .5, 16."): load(tmp_path/"x.safetensors", ManyPictures(5, rngs=nnx.Rngs(1)))


@pytest.mark.parametrize("settings", [{}, dict(learning_rate=3e-3), dict(optimizer=optax.sgd(.01, momentum=.9)), dict(batch_size=32, n_batches=5)], ids=["adam", "another rate", "momentum", "drawn batches"])
def test_going_on_is_not_having_stopped(tmp_path, settings):
    run = fit(NETWORKS["waves"](nnx.Rngs(0)), X, Y, key=jax.random.key(5), n_epochs=3, **settings)
    save(run, tmp_path/"x.safetensors")
    own = {k: v for k, v in settings.items() if k == "optimizer"}
    back = load(tmp_path/"x.safetensors", fit(NETWORKS["waves"](nnx.Rngs(1)), X, Y, key=jax.random.key(6), n_epochs=1, **own))
    assert (back.epoch, back.batch_size, back.n_batches) == (3, run.batch_size, run.n_batches)
    same((back.state, back.key, back.losses), (run.state, run.key, run.losses))
    same(fit(back, X, Y, n_epochs=4).state, fit(run, X, Y, n_epochs=4).state)


def test_another_process_reads_the_same(tmp_path):
    save(NETWORKS["siren"](nnx.Rngs(0)), tmp_path/"x.safetensors")
    code = "import sys; from flax import nnx; from cadl_flax.networks import Siren; from cadl_flax.tracking import load, save; save(load(sys.argv[1], Siren(2, 3, width=8, rngs=nnx.Rngs(9))), sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, tmp_path/"x.safetensors", tmp_path/"y.safetensors"], check=True)
    x, y = (safetensors.numpy.load_file(tmp_path/f"{name}.safetensors") for name in "xy")
    assert x.keys() == y.keys() and all((x[k] == y[k]).all() for k in x)


def test_the_file_says_what_it_is(tmp_path):
    save(fit(NETWORKS["mlp"](nnx.Rngs(0)), X, Y, key=jax.random.key(0), n_epochs=2), tmp_path/"x.safetensors", settings={"photo": "a", "size": [1, 2]})
    with safetensors.safe_open(tmp_path/"x.safetensors", "numpy") as file: facts = file.metadata()
    assert facts["kind"] == "run" and facts["epoch"] == "2" and json.loads(facts["settings"]) == {"photo": "a", "size": [1, 2]}
    assert set(json.loads(facts["versions"])) == {"cadl_flax", "jax", "flax"}


@pytest.mark.parametrize("name, other", [(a, b) for a in NETWORKS for b in NETWORKS if a != b])
def test_another_network_is_refused(tmp_path, name, other):
    save(NETWORKS[name](nnx.Rngs(0)), tmp_path/"x.safetensors")
    with pytest.raises(ValueError, match="x.safetensors"): load(tmp_path/"x.safetensors", NETWORKS[other](nnx.Rngs(0)))


def test_another_optimizer_is_refused(tmp_path):
    run = fit(NETWORKS["mlp"](nnx.Rngs(0)), X, Y, key=jax.random.key(0), n_epochs=1)
    save(run, tmp_path/"x.safetensors")
    for optimizer in (optax.sgd(.1), optax.adam(1e-3), optax.sgd(.1, momentum=.5)):
        with pytest.raises(ValueError, match="another optimizer"): load(tmp_path/"x.safetensors", fit(run.model, X, Y, key=run.key, optimizer=optimizer, n_epochs=1))
    save(run.model, tmp_path/"model.safetensors")
    with pytest.raises(ValueError, match="not a run to go on with"): load(tmp_path/"model.safetensors", run)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:len(b)//2], lambda b: b[:9], lambda b: b"", lambda b: b + b"x", lambda b: b"\xff"*8 + b[8:], lambda b: b[:8] + b"[" + b[9:], lambda b: np.random.default_rng(0).bytes(500), lambda b: b[:-5] + bytes([b[-5] ^ 64]) + b[-4:]],
                         ids=["short", "half", "head", "empty", "long", "huge header", "no JSON", "noise", "another bit"])
def test_damaged_files_are_refused(tmp_path, damage):
    save(NETWORKS["mlp"](nnx.Rngs(0)), tmp_path/"x.safetensors")
    (tmp_path/"x.safetensors").write_bytes(damage((tmp_path/"x.safetensors").read_bytes()))
    with pytest.raises(ValueError, match="damaged"): load(tmp_path/"x.safetensors", NETWORKS["mlp"](nnx.Rngs(1)))


def test_a_dtype_of_another_kind_is_refused(tmp_path):
    save(model := NETWORKS["linear"](nnx.Rngs(0)), tmp_path/"x.safetensors")
    content = (tmp_path/"x.safetensors").read_bytes()
    with safetensors.safe_open(tmp_path/"x.safetensors", "numpy") as file: facts = file.metadata()
    wide = {name: leaf.astype(np.float64) for name, leaf in safetensors.numpy.load(content).items()}
    (tmp_path/"x.safetensors").write_bytes(safetensors.numpy.save(wide, facts))
    with pytest.raises(ValueError, match="dtype F64"): load(tmp_path/"x.safetensors", model)


def test_a_run_without_its_facts_is_refused(tmp_path):
    save(run := fit(NETWORKS["mlp"](nnx.Rngs(0)), X, Y, key=jax.random.key(0), n_epochs=1), tmp_path/"x.safetensors")
    content = safetensors.numpy.load_file(tmp_path/"x.safetensors")
    with safetensors.safe_open(tmp_path/"x.safetensors", "numpy") as file: facts = file.metadata()
    for lost in ("epoch", "batch_size", "n_batches", "digest", "format"):
        (tmp_path/"y.safetensors").write_bytes(safetensors.numpy.save(content, {k: v for k, v in facts.items() if k != lost}))
        with pytest.raises(ValueError, match="y.safetensors"): load(tmp_path/"y.safetensors", run)


def test_whole_numbers_and_booleans_are_kept(tmp_path):
    class Mixed(nnx.Module):
        def __init__(self, n): self.count, self.flags, self.w = nnx.Variable(jnp.full(3, n)), nnx.Variable(jnp.arange(4) % 2 == n), nnx.Param(jnp.full((2, 2), n/2))
    save(Mixed(1), tmp_path/"x.safetensors")
    same(load(tmp_path/"x.safetensors", Mixed(0)), Mixed(1))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path/"x.safetensors").write_bytes(b"old")
    with pytest.raises(TypeError): save(NETWORKS["linear"](nnx.Rngs(0)), tmp_path/"x.safetensors", settings={"f": save})
    with pytest.raises(OSError): save(NETWORKS["linear"](nnx.Rngs(0)), tmp_path/"none"/"x.safetensors")
    def broken(*_): raise OSError("no space left on device")
    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="no space"): save(NETWORKS["linear"](nnx.Rngs(0)), tmp_path/"x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"] and (tmp_path/"x.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize("leave", ["break", "error", "end"])
def test_the_last_run_is_kept_however_the_loop_is_left(tmp_path, leave):
    kept = keep(fit_chunks(NETWORKS["mlp"](nnx.Rngs(0)), X, Y, key=jax.random.key(5), n_epochs=7), tmp_path, seconds=1000)
    try:
        for run in kept:
            if run.epoch == 4 and leave == "break": break
            if run.epoch == 4 and leave == "error": raise ZeroDivisionError
    except ZeroDivisionError: pass
    kept.close()
    same(load(tmp_path, run).state, run.state)
    assert run.epoch == (7 if leave == "end" else 4)
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["best.safetensors", "epoch-00000001.safetensors", f"epoch-{run.epoch:08}.safetensors"]
