"The compiled training is the training one would write by hand, and stopping does not change it."

import math
import os
import subprocess
import sys

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
from cadl_flax.networks import MLP
from cadl_flax.painting import paint
from cadl_flax.pictures import pixels, shrink
from cadl_flax.regression import mae, mse
from cadl_flax.shuffling import draw_batches
from cadl_flax.training import (
    TrainState,
    DEFAULT_OPTIMIZER,
    count_programs,
    fit,
    fit_chunks,
    minibatches,
    sweep,
    train_step,
)

KEY = jax.random.key(0)
X, Y = map(jnp.asarray, pixels(shrink(data.astronaut(), 16)))


def waves(key):
    "A small network behind fixed waves: it has parameters and constants."
    rngs = nnx.Rngs(key)
    features = FourierFeatures(2, 16, rngs=rngs)
    return nnx.Sequential(features, MLP(32, 3, width=16, depth=2, rngs=rngs))


MODEL = waves(jax.random.key(1))


def leaves(tree):
    "The arrays of a tree."
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def copies(tree):
    "The arrays of a tree, copied: later writes to the tree do not reach them."
    return [leaf.copy() for leaf in leaves(tree)]


def identical(a, b):
    "Whether all arrays of two trees have the same values."
    return all((p == q).all() for p, q in zip(leaves(a), leaves(b), strict=True))


def assert_close(a, b, atol):
    "Look that all arrays of two trees have the same values up to `atol`."
    for p, q in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_allclose(p, q, atol=atol)


OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "adam": optax.adam(1e-2),
    "momentum": optax.sgd(0.1, momentum=0.9),
}


@pytest.mark.parametrize("loss", [mse, mae])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_scan_takes_the_steps_of_the_loop(loss, optimizer):
    state, losses = TrainState(MODEL, optimizer.init(MODEL)), []
    for epoch in range(3):
        for rows in minibatches(jax.random.fold_in(KEY, epoch), len(X), 32):
            state, value = train_step(state, X[rows], Y[rows], loss, optimizer)
            losses.append(float(value))
    run = fit(MODEL, X, Y, key=KEY, loss=loss, optimizer=optimizer, batch_size=32, n_epochs=3)
    np.testing.assert_allclose(run.losses.ravel(), losses, rtol=1e-5)
    assert_close(run.state, state, atol=2e-5)


def test_the_scan_takes_the_steps_of_flax_optimizer():
    model = nnx.clone(MODEL)
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    gradient = nnx.jit(nnx.grad(lambda m, x, y: mse(m(x), y)))
    for epoch in range(2):
        for rows in minibatches(jax.random.fold_in(KEY, epoch), len(X), 64):
            optimizer.update(model, gradient(model, X[rows], Y[rows]))
    run = fit(MODEL, X, Y, key=KEY, learning_rate=1e-2, n_epochs=2)
    assert_close(run.model, model, atol=2e-5)


def test_the_default_optimizer_is_adam():
    default = fit(MODEL, X, Y, key=KEY, n_epochs=3)
    adam = fit(MODEL, X, Y, key=KEY, optimizer=optax.adam(1e-3), n_epochs=3)
    assert_close(default.model, adam.model, atol=1e-6)


@settings(deadline=None, max_examples=8)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from([16, 100]))
def test_stopping_anywhere_changes_no_bit(parts, batch_size):
    whole = fit(MODEL, X, Y, key=KEY, batch_size=batch_size, n_epochs=sum(parts))
    first, *others = parts
    run = fit(MODEL, X, Y, key=KEY, batch_size=batch_size, n_epochs=first)
    for n_epochs in others:
        run = fit(run, X, Y, n_epochs=n_epochs)
    assert run.epoch == whole.epoch
    assert identical(run.state, whole.state)


@pytest.mark.parametrize("every", [1, 3, 4, 7, 20])
def test_chunks_of_any_length_end_at_the_same_run(every):
    whole = fit(MODEL, X, Y, key=KEY, n_epochs=7)
    runs = list(fit_chunks(MODEL, X, Y, key=KEY, n_epochs=7, every=every))
    assert len(runs) == math.ceil(7 / every)
    assert identical(runs[-1].state, whole.state)
    np.testing.assert_array_equal(np.concatenate([r.losses for r in runs]), whole.losses)


def test_the_model_passed_in_is_unchanged():
    before = copies(MODEL)
    fit(MODEL, X, Y, key=KEY, n_epochs=2)
    assert identical(MODEL, before)


def test_the_run_passed_in_is_unchanged():
    run = fit(MODEL, X, Y, key=KEY, n_epochs=2)
    before = copies(run.state)
    fit(run, X, Y, n_epochs=2)
    assert identical(run.state, before)


def test_constants_are_not_trained():
    trained = fit(MODEL, X, Y, key=KEY, learning_rate=0.1, n_epochs=3).model.layers
    features, network = MODEL.layers
    np.testing.assert_array_equal(trained[0].frequencies[...], features.frequencies[...])
    assert not np.allclose(trained[1].out.kernel[...], network.out.kernel[...])


def test_a_new_rate_is_no_new_program():
    run = fit(MODEL, X, Y, key=KEY, n_epochs=1)
    before = count_programs()
    for rate in (1e-2, 1e-3, 1e-4):
        run = fit(run, X, Y, learning_rate=rate, n_epochs=1)
    fit(MODEL, X, Y, key=jax.random.key(9), learning_rate=0.5, n_epochs=1)
    assert count_programs() == before


def test_a_run_keeps_what_it_was_trained_with():
    options = dict(loss=mae, batch_size=32, n_batches=3, learning_rate=0.01)
    run = fit(MODEL, X, Y, key=KEY, n_epochs=1, **options)
    run = fit(run, X, Y, n_epochs=1)
    assert (run.loss, run.batch_size, run.losses.shape) == (mae, 32, (1, 3))
    assert run.state.opt_state.hyperparams["learning_rate"] == np.float32(0.01)
    assert fit(run, X, Y, key=KEY, optimizer=DEFAULT_OPTIMIZER, loss=mse, n_epochs=1).loss is mse


def test_vmap_trains_what_single_runs_train():
    keys, rates = jax.random.split(KEY, 2), jnp.array([1e-3, 1e-2])

    def train(key, rate):
        return fit(waves(key), X, Y, key=key, learning_rate=rate, n_epochs=2)

    both = jax.vmap(train)(keys, rates)
    for i in range(2):
        np.testing.assert_allclose(both.losses[i], train(keys[i], rates[i]).losses, rtol=1e-4)
    further = jax.vmap(lambda run: fit(run, X, Y, n_epochs=1))(both)
    assert further.epoch == 3
    assert further.losses.shape == (2, 1, 4)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 300), st.data())
def test_an_epoch_is_a_permutation(n, drawn):
    batch_size = drawn.draw(st.integers(1, n))
    seed = drawn.draw(st.integers(0, 99))
    rows = np.asarray(draw_batches(jax.random.key(seed), n, batch_size))
    assert rows.shape == (n // batch_size, batch_size)
    assert len(set(rows.ravel())) == rows.size
    assert rows.min() >= 0
    assert rows.max() < n


# the two digits count one further than 1014 and 1022, so exactly one number has to go on
@pytest.mark.parametrize("n", [999, 1000, 1014, 1022, 1025, 4097])
def test_a_whole_epoch_of_many_rows_is_a_permutation(n):
    for seed in range(3):
        rows = np.asarray(draw_batches(jax.random.key(seed), n, n))
        np.testing.assert_array_equal(np.sort(rows.ravel()), np.arange(n))


def chi_square(values, n, bins=50):
    "Chi-square per degree of freedom against a uniform distribution over `range(n)`: about 1."
    counts = np.stack([np.histogram(column, bins, (0, n))[0] for column in values.T])
    deviations = (counts - counts.mean()) ** 2 / counts.mean()
    return deviations.sum() / (counts.size - len(counts))


@pytest.mark.parametrize("n", [1000, 1009, 4096, 50_000, 2**20 + 7])
def test_an_order_is_as_good_as_chance(n):
    "Over many keys rows are uniform, so are the steps between neighbours, and places independent."
    first_batch = jax.jit(jax.vmap(lambda key: draw_batches(key, n, 200, n_batches=1)[0]))
    rows = np.asarray(first_batch(jax.random.split(KEY, 3000)))
    assert 0.95 < chi_square(rows, n) < 1.05
    assert 0.9 < chi_square(np.diff(rows, axis=1) % n, n) < 1.1 + 50 / n * 3
    pairs = np.corrcoef(rows.T)[np.triu_indices(200, 1)]
    correlations = pairs * np.sqrt(len(rows))  # in standard deviations of chance
    assert abs(correlations.std() - 1) < 0.03
    assert abs(correlations).max() < 5.5


def array_sizes(jaxpr):
    "The sizes of all arrays that a program computes, inner programs included."
    for equation in jaxpr.eqns:
        yield from (v.aval.size for v in equation.outvars if hasattr(v.aval, "size"))
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from array_sizes(inner)


def test_no_array_of_the_length_of_large_data_is_made():
    n = 50_000_000
    program = jax.make_jaxpr(lambda key: draw_batches(key, n, 512, n_batches=7))(KEY)
    assert max(array_sizes(program.jaxpr)) <= 20 * 7 * 512


def test_batches_of_large_data_come_from_all_of_it():
    n = 50_000_000
    rows = np.asarray(draw_batches(KEY, n, 512, n_batches=7))
    assert rows.shape == (7, 512)
    assert rows.min() >= 0
    assert rows.max() < n
    assert rows.std() > n / 4
    assert len(np.unique(rows)) == rows.size  # no row twice, among fifty million
    # batch b depends on the key and on b, not on how many batches are drawn
    np.testing.assert_array_equal(rows[:3], draw_batches(KEY, n, 512, n_batches=3))


def test_matrix_products_are_at_full_precision():
    state = TrainState(MODEL, DEFAULT_OPTIMIZER.init(MODEL))
    text = train_step.lower(state, X[:8], Y[:8], mse, DEFAULT_OPTIMIZER).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products
    assert all("HIGHEST" in line for line in products)


PRINT_DTYPES = """
import sys
import jax
from flax import nnx
from skimage import data
from cadl_flax import fit, paint
from cadl_flax.networks import MLP
from cadl_flax.pictures import pixels, shrink

image = shrink(data.astronaut(), 16)
painting = paint(image, n_epochs=3)
model = MLP(2, 3, rngs=nnx.Rngs(0))
run = fit(model, *pixels(image), key=jax.random.key(0), n_epochs=2)  # at the default rate
leaves = jax.tree.leaves((painting.run.state, run.state))
print({str(leaf.dtype) for leaf in leaves if leaf.dtype.kind == "f"})
print(painting.render().dtype, painting.run.losses.dtype)
painting.render().tofile(sys.argv[1])
"""


def test_everything_is_float32_whatever_x64_says(tmp_path):
    pictures = []
    for x64 in "01":
        out = subprocess.run(
            [sys.executable, "-c", PRINT_DTYPES, tmp_path / x64],
            env={**os.environ, "JAX_ENABLE_X64": x64},
            capture_output=True,
            text=True,
            check=True,
        )
        assert out.stdout.split() == ["{'float32'}", "float32", "float32"]
        pictures.append(np.fromfile(tmp_path / x64, np.float32))
    # constants such as an optimizer's are rounded from other widths
    np.testing.assert_allclose(*pictures, atol=1e-4)


# What fit takes and what it refuses


def small(n=20):
    "The first `n` rows of the data."
    return X[:n], Y[:n]


def test_fewer_rows_than_the_default_batch_are_all_used():
    run = fit(MODEL, *small(), key=KEY, n_epochs=2)
    assert run.batch_size == 20
    assert run.losses.shape == (2, 1)
    assert identical(run.state, fit(MODEL, *small(), key=KEY, batch_size=20, n_epochs=2).state)
    *_, chunked = fit_chunks(MODEL, *small(), key=KEY, n_epochs=2)
    assert identical(run.state, chunked.state)
    assert fit(MODEL, X, Y, key=KEY, n_epochs=1).batch_size == 64


def test_fewer_rows_than_the_default_batch_are_all_used_under_vmap():
    train = jax.vmap(lambda key: fit(MODEL, *small(), key=key, n_epochs=1))
    assert train(jax.random.split(KEY, 2)).losses.shape == (2, 1, 1)


def test_a_run_goes_on_with_fewer_rows():
    run = fit(fit(MODEL, X, Y, key=KEY, n_epochs=1), *small(), n_epochs=2)
    assert (run.epoch, run.batch_size, run.losses.shape) == (3, 20, (2, 1))
    assert fit(run, X, Y, n_epochs=1).batch_size == 20  # what it used last
    assert fit(run, X, Y, batch_size=64, n_epochs=1).losses.shape == (1, 4)


def test_sweep_and_paint_use_all_rows_there_are():
    def train(learning_rate):
        return fit(MODEL, *small(3), key=KEY, learning_rate=learning_rate, n_epochs=1)

    runs = sweep(train, learning_rate=[1e-3, 1e-2])
    assert [run.batch_size for run in runs] == [3, 3]
    assert paint(np.zeros((2, 3), np.uint8), n_epochs=1, network="mlp").run.batch_size == 6


STARTS = {"model": (MODEL, KEY), "run": (fit(MODEL, X, Y, key=KEY, n_epochs=1), None)}


@pytest.mark.parametrize("start, key", STARTS.values(), ids=STARTS)
def test_a_batch_that_was_asked_for_and_is_too_large_is_refused(start, key):
    with pytest.raises(ValueError, match="batch_size=21 must be between 1 and the 20 rows"):
        fit(start, *small(), key=key, batch_size=21)
    with pytest.raises(ValueError, match="x and y have no rows"):
        fit(start, *small(0), key=key)
    with pytest.raises(ValueError, match=r"x has shape \(\), expected two axes"):
        fit(start, 1.0, 2.0, key=key)


class Counting(nnx.Module):
    "Counts its calls, as own layers may."

    class Calls(nnx.Variable):
        "What the module keeps for itself."

    def __init__(self):
        self.calls = self.Calls(jnp.zeros(()))
        self.line = nnx.Linear(2, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        self.calls[...] += 1
        return self.line(x)


NORM = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
NORM_AT_REST = nnx.BatchNorm(3, use_running_average=True, rngs=nnx.Rngs(0))
DROPOUT = nnx.Dropout(0.5, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "layer, words",
    [
        (NORM, ["layers.1.mean (BatchStat)", "running mean", "start values"]),
        (NORM_AT_REST, ["layers.1.mean (BatchStat)"]),
        (DROPOUT, ["layers.1.rngs.count (RngCount)", "same in every step"]),
        (Counting(), ["layers.1.calls (Calls)", "would be lost"]),
    ],
    ids=["norm", "norm at rest", "dropout", "own"],
)
@pytest.mark.parametrize("train", [fit, fit_chunks])
def test_layers_that_keep_state_are_refused_by_name(train, layer, words):
    n_features = 2 if isinstance(layer, Counting) else 3  # that the layer takes
    model = nnx.Sequential(MLP(2, n_features, rngs=nnx.Rngs(0)), layer)
    with pytest.raises(TypeError, match="fit changes parameters only") as caught:
        train(model, X, Y, key=KEY)
    for word in [*words, "nnx.Optimizer"]:
        assert word in str(caught.value)


class Shifted(nnx.Module):
    "A line behind a constant, in front of a bare array that is trained."

    def __init__(self):
        self.shift = nnx.Variable(jnp.ones(2))
        self.scale = nnx.data(jnp.ones(3))
        self.line = nnx.LoRALinear(2, 3, lora_rank=1, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.scale * self.line(x - jax.lax.stop_gradient(self.shift[...]))


def test_constants_and_all_parameters_are_taken():
    scaled = nnx.Sequential(StandardScaler().fit(X), Shifted())
    scaler, shifted = fit(scaled, X, Y, key=KEY, n_epochs=2).model.layers
    assert (shifted.shift[...] == 1).all()
    assert not (shifted.scale == 1).any()
    assert (scaler.mean[...] == scaled.layers[0].mean[...]).all()


def test_a_leaf_of_another_dtype_is_named():
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    # put there without a conversion: XLA has none to float16 for processors without F16C
    model.bias = nnx.Param(jnp.asarray(np.zeros(3, np.float16)))
    with pytest.raises(TypeError, match="the model's bias has dtype float16"):
        fit(model, X, Y, key=KEY)


LABELS = (np.arange(len(X)) % 3)[:, None]


@pytest.mark.parametrize("train", [fit, fit_chunks])
def test_labels_of_classes_are_refused_with_the_way_out(train):
    loss = optax.softmax_cross_entropy_with_integer_labels
    message = (
        r"y, of dtype int64, have shape \(64, 1\): "
        r"for classes, pass jax.nn.one_hot\(y\[:, 0\], 3\)"
    )
    with pytest.raises(ValueError, match=message):
        train(MODEL, X, LABELS, key=KEY, loss=loss)


def test_the_way_out_for_labels_of_classes_works():
    def entropy(predictions, targets):
        return optax.softmax_cross_entropy(predictions, targets).mean()

    y = jax.nn.one_hot(LABELS[:, 0], 3)
    run = fit(MODEL, X, y, key=KEY, loss=entropy, n_epochs=1)
    assert np.isfinite(run.losses).all()


NOT_FINITE = [np.nan, np.inf, -np.inf]


def with_value(value):
    "The data with `value` in two rows of x, the first of them row 7, and in row 5 of y."
    x, y = np.array(X), np.array(Y)
    x[[7, 9], 1] = value
    y[5, 2] = value
    return x, y


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("start, key", STARTS.values(), ids=STARTS)
def test_numbers_that_are_none_are_refused_by_row(start, key, kind, value):
    x, y = map(kind, with_value(value))
    in_x = "x has NaN or infinite numbers in 2 of 256 rows, first in row 7"
    in_y = "y has NaN or infinite numbers in 1 of 256 rows, first in row 5"
    with pytest.raises(ValueError, match=in_x):
        fit(start, x, y, key=key)
    with pytest.raises(ValueError, match=in_y):
        fit(start, X, y, key=key)


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_numbers_that_are_none_are_refused_by_row_before_the_first_chunk(kind, value):
    _, y = with_value(value)
    with pytest.raises(ValueError, match="first in row 5"):
        fit_chunks(MODEL, X, kind(y), key=KEY)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_only_numbers_known_when_traced_are_looked_at(value):
    y = jnp.asarray(with_value(value)[1])
    with pytest.raises(ValueError, match="first in row 5"):
        jax.jit(lambda key: fit(MODEL, X, y, key=key, n_epochs=1))(KEY)
    traced = jax.jit(lambda y: fit(MODEL, X, y, key=KEY, n_epochs=1).losses)(y)
    assert not np.isfinite(traced).all()  # the values of a traced argument are not known


FLAX_OPTIMIZER = nnx.Optimizer(MODEL, optax.adam(1e-3), wrt=nnx.Param)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(optimizer="adam"), "optimizer='adam' is a str, expected one of optax's"),
        (dict(optimizer=optax.adam), "optimizer is a function, expected one of optax's"),
        (dict(optimizer=FLAX_OPTIMIZER), "optimizer is a Optimizer, expected one of optax's"),
        (dict(loss="mse"), "loss='mse' is a str, expected a function"),
    ],
    ids=["name", "uncalled", "flax", "loss"],
)
@pytest.mark.parametrize("start, key", STARTS.values(), ids=STARTS)
def test_what_is_no_optimizer_or_loss_is_named(start, key, options, words):
    with pytest.raises(TypeError, match=words):
        fit(start, X, Y, key=key, **options)
