"The compiled training is the training one would write by hand, and stopping does not change it."
import os
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from cadl_flax.features import FourierFeatures, StandardScaler
from cadl_flax.gallery import sweep
from cadl_flax.networks import MLP
from cadl_flax.painting import paint
from cadl_flax.pictures import pixels, shrink
from cadl_flax.regression import mae, mse
from cadl_flax.training import Run, TrainState, _adam, _epochs, fit, fit_chunks, minibatches, train_step

KEY = jax.random.key(0)
X, Y = map(jnp.asarray, pixels(shrink(data.astronaut(), 16)))


def waves(key):
    rngs = nnx.Rngs(key)
    return nnx.Sequential(FourierFeatures(2, 16, rngs=rngs), MLP(32, 3, width=16, depth=2, rngs=rngs))


MODEL = waves(jax.random.key(1))
def leaves(tree): return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
def identical(a, b): return all((p == q).all() for p, q in zip(leaves(a), leaves(b), strict=True))


@pytest.mark.parametrize("loss", [mse, mae])
@pytest.mark.parametrize("make", [lambda: optax.sgd(.1), lambda: optax.adam(1e-2), lambda: optax.sgd(.1, momentum=.9)])
def test_the_scan_takes_the_steps_of_the_loop(loss, make):
    optimizer = make()
    state, losses = TrainState(MODEL, optimizer.init(MODEL)), []
    for epoch in range(3):
        for rows in minibatches(jax.random.fold_in(KEY, epoch), len(X), 32):
            state, value = train_step(state, X[rows], Y[rows], loss, optimizer)
            losses.append(float(value))
    run = fit(MODEL, X, Y, key=KEY, loss=loss, optimizer=optimizer, batch_size=32, n_epochs=3)
    np.testing.assert_allclose(run.losses.ravel(), losses, rtol=1e-5)
    for a, b in zip(leaves(run.state), leaves(state), strict=True): np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_scan_takes_the_steps_of_flax_optimizer():
    model = nnx.clone(MODEL)
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    slopes = nnx.jit(nnx.grad(lambda m, x, y: mse(m(x), y)))
    for epoch in range(2):
        for rows in minibatches(jax.random.fold_in(KEY, epoch), len(X), 64): optimizer.update(model, slopes(model, X[rows], Y[rows]))
    run = fit(MODEL, X, Y, key=KEY, learning_rate=1e-2, n_epochs=2)
    for a, b in zip(leaves(run.model), leaves(model), strict=True): np.testing.assert_allclose(a, b, atol=2e-5)


def test_the_default_optimizer_is_adam():
    ours, theirs = fit(MODEL, X, Y, key=KEY, n_epochs=3), fit(MODEL, X, Y, key=KEY, optimizer=optax.adam(1e-3), n_epochs=3)
    for a, b in zip(leaves(ours.model), leaves(theirs.model), strict=True): np.testing.assert_allclose(a, b, atol=1e-6)


@settings(deadline=None, max_examples=8)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from([16, 100]))
def test_stopping_anywhere_changes_no_bit(parts, batch_size):
    whole = fit(MODEL, X, Y, key=KEY, batch_size=batch_size, n_epochs=sum(parts))
    run = MODEL
    for n in parts: run = fit(run, X, Y, n_epochs=n, **({} if isinstance(run, Run) else dict(key=KEY, batch_size=batch_size)))
    assert run.epoch == whole.epoch and identical(run.state, whole.state)


@pytest.mark.parametrize("every", [1, 3, 4, 7, 20])
def test_chunks_of_any_length_end_at_the_same_run(every):
    whole = fit(MODEL, X, Y, key=KEY, n_epochs=7)
    runs = list(fit_chunks(MODEL, X, Y, key=KEY, n_epochs=7, every=every))
    assert len(runs) == -(-7//every) and identical(runs[-1].state, whole.state)
    np.testing.assert_array_equal(np.concatenate([r.losses for r in runs]), whole.losses)


def test_the_model_passed_in_is_unchanged():
    before = [leaf.copy() for leaf in leaves(MODEL)]
    run = fit(MODEL, X, Y, key=KEY, n_epochs=2)
    middle = [leaf.copy() for leaf in leaves(run.state)]
    fit(run, X, Y, n_epochs=2)
    assert all((a == b).all() for a, b in zip(leaves(MODEL), before)) and all((a == b).all() for a, b in zip(leaves(run.state), middle))


def test_constants_are_not_trained():
    run = fit(MODEL, X, Y, key=KEY, learning_rate=.1, n_epochs=3)
    np.testing.assert_array_equal(run.model.layers[0].frequencies[...], MODEL.layers[0].frequencies[...])
    assert not np.allclose(run.model.layers[1].out.kernel[...], MODEL.layers[1].out.kernel[...])


def test_a_new_rate_is_no_new_program():
    run = fit(MODEL, X, Y, key=KEY, n_epochs=1)
    before = _epochs._cache_size()
    for rate in (1e-2, 1e-3, 1e-4): run = fit(run, X, Y, learning_rate=rate, n_epochs=1)
    fit(MODEL, X, Y, key=jax.random.key(9), learning_rate=.5, n_epochs=1)
    assert _epochs._cache_size() == before


def test_a_run_keeps_what_it_was_trained_with():
    run = fit(fit(MODEL, X, Y, key=KEY, loss=mae, batch_size=32, n_batches=3, learning_rate=.01, n_epochs=1), X, Y, n_epochs=1)
    assert (run.loss, run.batch_size, run.losses.shape) == (mae, 32, (1, 3))
    assert run.state.opt_state.hyperparams["learning_rate"] == np.float32(.01)
    assert fit(run, X, Y, key=KEY, optimizer=_adam, loss=mse, n_epochs=1).loss is mse


def test_vmap_trains_what_single_runs_train():
    keys, rates = jax.random.split(KEY, 2), jnp.array([1e-3, 1e-2])
    both = jax.vmap(lambda key, rate: fit(waves(key), X, Y, key=key, learning_rate=rate, n_epochs=2))(keys, rates)
    for i in range(2):
        one = fit(waves(keys[i]), X, Y, key=keys[i], learning_rate=rates[i], n_epochs=2)
        np.testing.assert_allclose(both.losses[i], one.losses, rtol=1e-4)
    further = jax.vmap(lambda run: fit(run, X, Y, n_epochs=1))(both)
    assert further.epoch == 3 and further.losses.shape == (2, 1, 4)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 300), st.data())
def test_an_epoch_is_a_permutation(n, drawn):
    size = drawn.draw(st.integers(1, n))
    rows = np.asarray(minibatches(jax.random.key(drawn.draw(st.integers(0, 99))), n, size))
    assert rows.shape == (n//size, size) and len(set(rows.ravel())) == rows.size and 0 <= rows.min() and rows.max() < n


@pytest.mark.parametrize("n", [1000, 1009, 4096, 50_000, 2**20 + 7])
def test_an_order_is_as_good_as_chance(n):
    "Over many keys every row comes anywhere as often, rows that lie together come apart, and no two places know of each other."
    rows = np.asarray(jax.jit(jax.vmap(lambda key: minibatches(key, n, 200, n_batches=1)[0]))(jax.random.split(KEY, 3000)))
    def unlike_chance(values, bins=50): # chi-square for each freedom, about 1
        counts = np.stack([np.histogram(column, bins, (0, n))[0] for column in values.T])
        return ((counts - counts.mean())**2/counts.mean()).sum()/(counts.size - len(counts))
    assert .95 < unlike_chance(rows) < 1.05
    assert .9 < unlike_chance(np.diff(rows, axis=1) % n) < 1.1 + 50/n*3
    together = np.corrcoef(rows.T)[np.triu_indices(200, 1)]*np.sqrt(len(rows))
    assert abs(together.std() - 1) < .03 and abs(together).max() < 5.5


def test_no_array_of_the_length_of_large_data_is_made():
    n = 50_000_000
    program = jax.make_jaxpr(lambda key: minibatches(key, n, 512, n_batches=7))(KEY)
    def sizes(jaxpr):
        for eqn in jaxpr.eqns:
            yield from (v.aval.size for v in eqn.outvars if hasattr(v.aval, "size"))
            for value in eqn.params.values():
                if hasattr(value, "jaxpr"): yield from sizes(value.jaxpr)
                elif hasattr(value, "eqns"): yield from sizes(value)
    assert max(sizes(program.jaxpr)) <= 20*7*512
    rows = np.asarray(minibatches(KEY, n, 512, n_batches=7))
    assert rows.shape == (7, 512) and rows.min() >= 0 and rows.max() < n and rows.std() > n/4
    np.testing.assert_array_equal(rows[:3], minibatches(KEY, n, 512, n_batches=3)) # batch b depends on key and b
    assert len(np.unique(rows)) == rows.size # no row twice, among fifty million


def test_matrix_products_are_at_full_precision():
    state = TrainState(MODEL, _adam.init(MODEL))
    text = train_step.lower(state, X[:8], Y[:8], mse, _adam).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products and all("HIGHEST" in line for line in products)


def test_everything_is_float32_whatever_x64_says():
    program = """
import jax, sys
from flax import nnx
from skimage import data
from cadl_flax import fit, paint
from cadl_flax.networks import MLP, Siren
from cadl_flax.pictures import pixels, shrink
image = shrink(data.astronaut(), 16)
p = paint(image, n_epochs=3)
untold = fit(MLP(2, 3, rngs=nnx.Rngs(0)), *pixels(image), key=jax.random.key(0), n_epochs=2) # at the rate it starts with
print({str(leaf.dtype) for leaf in jax.tree.leaves((p.run.state, untold.state)) if leaf.dtype.kind == 'f'}, p.render().dtype, p.run.losses.dtype)
p.render().tofile(sys.argv[1])
"""
    pictures = []
    for x64 in "01":
        with tempfile.TemporaryDirectory() as folder:
            out = subprocess.run([sys.executable, "-c", program, f"{folder}/x"], env={**os.environ, "JAX_ENABLE_X64": x64}, capture_output=True, text=True, check=True)
            assert out.stdout.strip() == "{'float32'} float32 float32"
            pictures.append(np.fromfile(f"{folder}/x", np.float32))
    np.testing.assert_allclose(*pictures, atol=1e-4) # constants such as an optimizer's are rounded from other widths


# What fit takes and what it refuses


def small(n=20): return X[:n], Y[:n]


def test_fewer_rows_than_the_default_batch_are_all_used():
    run = fit(MODEL, *small(), key=KEY, n_epochs=2)
    assert run.batch_size == 20 and run.losses.shape == (2, 1)
    assert identical(run.state, fit(MODEL, *small(), key=KEY, batch_size=20, n_epochs=2).state)
    *_, chunked = fit_chunks(MODEL, *small(), key=KEY, n_epochs=2)
    assert identical(run.state, chunked.state)
    assert fit(MODEL, X, Y, key=KEY, n_epochs=1).batch_size == 64
    whole = jax.vmap(lambda key: fit(MODEL, *small(), key=key, n_epochs=1))(jax.random.split(KEY, 2))
    assert whole.losses.shape == (2, 1, 1)


def test_a_run_goes_on_with_fewer_rows():
    run = fit(fit(MODEL, X, Y, key=KEY, n_epochs=1), *small(), n_epochs=2)
    assert (run.epoch, run.batch_size, run.losses.shape) == (3, 20, (2, 1))
    assert fit(run, X, Y, n_epochs=1).batch_size == 20 # what it used last
    assert fit(run, X, Y, batch_size=64, n_epochs=1).losses.shape == (1, 4)


def test_sweep_and_paint_use_all_rows_there_are():
    runs = sweep(lambda learning_rate: fit(MODEL, *small(3), key=KEY, learning_rate=learning_rate, n_epochs=1), learning_rate=[1e-3, 1e-2])
    assert [run.batch_size for run in runs] == [3, 3]
    assert paint(np.zeros((2, 3), np.uint8), n_epochs=1, network="mlp").run.batch_size == 6


@pytest.mark.parametrize("start", [MODEL, fit(MODEL, X, Y, key=KEY, n_epochs=1)], ids=["model", "run"])
def test_a_batch_that_was_asked_for_and_is_too_large_is_refused(start):
    key = None if isinstance(start, Run) else KEY
    with pytest.raises(ValueError, match="batch_size=21 must be between 1 and the 20 rows"):
        fit(start, *small(), key=key, batch_size=21)
    with pytest.raises(ValueError, match="x and y have no rows"): fit(start, *small(0), key=key)
    with pytest.raises(ValueError, match=r"x has shape \(\), expected two axes"): fit(start, 1., 2., key=key)


class Counting(nnx.Module):
    "Counts its calls, as own layers may."
    class Calls(nnx.Variable): "What the module keeps for itself."
    def __init__(self): self.calls, self.line = self.Calls(jnp.zeros(())), nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    def __call__(self, x):
        self.calls[...] += 1
        return self.line(x)


@pytest.mark.parametrize("layer, words", [
    (nnx.BatchNorm(3, rngs=nnx.Rngs(0)), ["layers.1.mean (BatchStat)", "running mean", "start values"]),
    (nnx.BatchNorm(3, use_running_average=True, rngs=nnx.Rngs(0)), ["layers.1.mean (BatchStat)"]),
    (nnx.Dropout(.5, rngs=nnx.Rngs(0)), ["layers.1.rngs.count (RngCount)", "same in every step"]),
    (Counting(), ["layers.1.calls (Calls)", "would be lost"])], ids=["norm", "norm at rest", "dropout", "own"])
def test_layers_that_keep_state_are_refused_by_name(layer, words):
    model = nnx.Sequential(MLP(2, 3 if not isinstance(layer, Counting) else 2, rngs=nnx.Rngs(0)), layer)
    for train in (fit, fit_chunks):
        with pytest.raises(TypeError, match="fit changes parameters only") as caught: train(model, X, Y, key=KEY)
        for word in [*words, "nnx.Optimizer"]: assert word in str(caught.value)


def test_constants_and_all_parameters_are_taken():
    class Own(nnx.Module):
        def __init__(self):
            self.shift, self.scale = nnx.Variable(jnp.ones(2)), nnx.data(jnp.ones(3)) # a constant, and a bare array
            self.line = nnx.LoRALinear(2, 3, lora_rank=1, rngs=nnx.Rngs(0))
        def __call__(self, x): return self.scale*self.line(x - jax.lax.stop_gradient(self.shift[...]))
    scaled = nnx.Sequential(StandardScaler().fit(X), Own())
    run = fit(scaled, X, Y, key=KEY, n_epochs=2)
    assert (run.model.layers[1].shift[...] == 1).all() and not (run.model.layers[1].scale == 1).any()
    assert (run.model.layers[0].mean[...] == scaled.layers[0].mean[...]).all()


def test_a_leaf_of_another_dtype_is_named():
    model = nnx.Linear(2, 3, param_dtype=jnp.float16, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="the model's bias has dtype float16"): fit(model, X, Y, key=KEY)


@pytest.mark.parametrize("train", [fit, fit_chunks])
def test_labels_of_classes_are_refused_with_the_way_out(train):
    labels = (np.arange(len(X)) % 3)[:, None]
    loss = optax.softmax_cross_entropy_with_integer_labels
    with pytest.raises(ValueError, match=r"y, of dtype int64, have shape \(64, 1\): for classes, pass jax.nn.one_hot\(y\[:, 0\], 3\)"):
        train(MODEL, X, labels, key=KEY, loss=loss)
    def entropy(p, t): return optax.softmax_cross_entropy(p, t).mean()
    assert np.isfinite(fit(MODEL, X, jax.nn.one_hot(labels[:, 0], 3), key=KEY, loss=entropy, n_epochs=1).losses).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_numbers_that_are_none_are_refused_by_row(value, kind):
    x, y = np.array(X), np.array(Y)
    x[[7, 9], 1] = y[5, 2] = value
    run = fit(MODEL, X, Y, key=KEY, n_epochs=1)
    for start, key in ((MODEL, KEY), (run, None)):
        with pytest.raises(ValueError, match="x has NaN or infinite numbers in 2 of 256 rows, first in row 7"): fit(start, kind(x), kind(y), key=key)
        with pytest.raises(ValueError, match="y has NaN or infinite numbers in 1 of 256 rows, first in row 5"): fit(start, X, kind(y), key=key)
    with pytest.raises(ValueError, match="first in row 5"): fit_chunks(MODEL, X, kind(y), key=KEY)
    inside = jnp.asarray(y)
    with pytest.raises(ValueError, match="first in row 5"): jax.jit(lambda key: fit(MODEL, X, inside, key=key, n_epochs=1))(KEY)
    traced = jax.jit(lambda y: fit(MODEL, X, y, key=KEY, n_epochs=1).losses)(inside)
    assert not np.isfinite(traced).all() # of what is traced nothing is known


@pytest.mark.parametrize("options, words", [
    (dict(optimizer="adam"), "optimizer='adam' is a str, expected one of optax's"),
    (dict(optimizer=optax.adam), "optimizer is a function, expected one of optax's"),
    (dict(optimizer=nnx.Optimizer(MODEL, optax.adam(1e-3), wrt=nnx.Param)), "optimizer is a Optimizer, expected one of optax's"),
    (dict(loss="mse"), "loss='mse' is a str, expected a function")], ids=["name", "uncalled", "flax", "loss"])
def test_what_is_no_optimizer_or_loss_is_named(options, words):
    for start, key in ((MODEL, KEY), (fit(MODEL, X, Y, key=KEY, n_epochs=1), None)):
        with pytest.raises(TypeError, match=words): fit(start, X, Y, key=key, **options)
