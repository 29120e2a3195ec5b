"Sines, SIREN and grids agree with plain NumPy and finite differences, and see what they should."

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures, sine
from cadl_flax.networks import Siren
from cadl_flax.training import fit


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e4, 1e4, width=32))
def test_sine(x):
    assert abs(float(sine(jnp.float32(x))) - np.sin(x)) < 3e-7
    assert abs(float(jax.grad(sine)(jnp.float32(x))) - np.cos(x)) < 1e-6


def test_sine_under_jit_is_within_the_same_bound():
    x = np.linspace(-1e4, 1e4, 2_000_001, dtype=np.float32)
    assert abs(np.asarray(jax.jit(sine)(x)) - np.sin(x.astype(float))).max() < 3e-7


def test_sine_is_odd_and_of_any_shape():
    x = np.random.default_rng(0).normal(0, 30, (3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(sine(-x), -sine(x))
    assert sine(x).shape == x.shape
    assert sine(x).dtype == jnp.float32


def test_fourier_features_agree_with_numpy():
    features = FourierFeatures(2, 16, sigma=5.0, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2)).astype(np.float32)
    angles = 2 * np.pi * x.astype(float) @ np.asarray(features.frequencies[...], float)
    expected = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    np.testing.assert_allclose(features(x), expected, atol=2e-5)


def affine_by_hand(layer, x):
    "What a layer does before its activation, with 64 bits."
    return x @ np.asarray(layer.kernel[...], float) + np.asarray(layer.bias[...], float)


def siren_by_hand(model, x):
    "A SIREN by NumPy."
    first, *others = model.hidden
    h = np.sin(model.first_omega * affine_by_hand(first, np.asarray(x, float)))
    for layer in others:
        h = np.sin(model.omega * affine_by_hand(layer, h))
    return affine_by_hand(model.out, h)


@pytest.mark.parametrize(
    "options",
    [{}, dict(depth=1), dict(depth=5, width=16), dict(first_omega=90.0, omega=10.0)],
    ids=str,
)
def test_siren_agrees_with_numpy(options):
    model = Siren(2, 3, rngs=nnx.Rngs(0), **options)
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(answer(model, x), siren_by_hand(model, x), atol=5e-4)


def test_siren_starts_as_in_the_paper():
    model = Siren(2, 3, width=256, depth=3, rngs=nnx.Rngs(0))
    first, *others = [*model.hidden, model.out]
    later_bound = np.sqrt(6 / 256) / 30
    bounds = [(first, 1 / 2, 2)] + [(layer, later_bound, 256) for layer in others]
    for layer, bound, n_inputs in bounds:
        largest = float(abs(layer.kernel[...]).max())
        assert 0.9 * bound < largest <= bound
        assert float(abs(layer.bias[...]).max()) <= 1 / np.sqrt(n_inputs)


def spline(f, order):
    "The weights of the `order + 1` nodes nearest to a place, `f` of a cell from its lower border."
    if order == 1:
        return [1 - f, f]
    return [(1 - f) ** 2 / 2, 0.5 + f * (1 - f), f**2 / 2]


def row_of_node(node, sides, table_size):
    "Where the features of a node are: in order if all nodes have a row of their own, else hashed."
    if np.prod(sides) <= table_size:
        return sum(n * int(np.prod(sides[:axis])) for axis, n in enumerate(node))
    row = 0
    for n, prime in zip(node, (1, 2654435761, 805459861)):
        row ^= n * prime % 2**32
    return row % table_size


def level_by_hand(table, resolution, order, point):
    "The features of one level at one place of the unit cube, one node at a time."
    cells, total = np.array(resolution), 0
    position = point * cells.astype(np.float32)
    cell = np.clip(np.floor(position), 0, cells - 1).astype(int)
    weights = [spline(float(f), order) for f in position - cell]
    for taps in product(range(order + 1), repeat=len(point)):
        node = [int(c) + tap for c, tap in zip(cell, taps)]
        weight = np.prod([weights[axis][tap] for axis, tap in enumerate(taps)])
        total = total + weight * table[row_of_node(node, cells + order, len(table))]
    return total


def grid_by_hand(grid, x):
    "A grid by NumPy, one place at a time."
    extent = np.array(grid.extent, np.float32)
    tables = [np.asarray(table[...], float) for table in grid.tables]
    rows = []
    for place in np.clip(np.asarray(x, np.float32) / extent, -1, 1):
        point = (place + np.float32(1)) / 2
        levels = zip(tables, grid.resolutions)
        features = [level_by_hand(*level, order=grid.order, point=point) for level in levels]
        rows.append(np.concatenate(features))
    return np.array(rows)


def random_grid(dimensions, **options):
    "A grid whose features are large enough to be told apart."
    grid = HashGrid(dimensions, rngs=nnx.Rngs(0), **options)
    for i, table in enumerate(grid.tables):
        table[...] = np.random.default_rng(i).normal(size=table.shape).astype(np.float32)
    return grid


@jax.jit
def answer(model, x):
    "What a model answers, compiled."
    return model(x)


GRIDS = [
    dict(),
    dict(order=1),
    dict(finest=33, coarsest=5, n_levels=3),
    dict(finest=1),
    dict(table_size=50),
    dict(table_size=64, order=1),
    dict(finest=16, extent=(1, 0.3)),
]


@pytest.mark.parametrize(
    "dimensions, options",
    [*((2, options) for options in GRIDS), (1, GRIDS[0]), (3, GRIDS[0]), (3, GRIDS[5])],
    ids=str,
)
def test_grid_agrees_with_numpy(dimensions, options):
    grid = random_grid(dimensions, **{"finest": 8, "n_levels": 2, **options})
    anywhere = np.random.default_rng(0).uniform(-1.3, 1.3, (40, dimensions))
    special = np.full((3, dimensions), [[-1], [1], [0]])  # both corners and the middle
    x = np.concatenate([anywhere, special]).astype(np.float32)
    painted = answer(grid, x)
    assert painted.shape == (43, grid.out_features)
    np.testing.assert_allclose(painted, grid_by_hand(grid, x), atol=2e-4)


@pytest.mark.parametrize("options", GRIDS, ids=str)
def test_what_is_the_same_at_all_nodes_is_the_same_between(options):
    grid = HashGrid(2, rngs=nnx.Rngs(0), **{"finest": 8, "n_levels": 2, **options})
    for table in grid.tables:
        table[...] = np.ones(table.shape, np.float32)
    x = np.random.default_rng(0).uniform(-2, 2, (500, 2))
    np.testing.assert_allclose(answer(grid, x), 1, atol=1e-5)


def largest_jump(order):
    "How much the slope of a grid changes at a border between cells."
    grid = random_grid(1, n_levels=1, finest=8, n_features=1, order=order)
    slope = jax.jit(jax.vmap(jax.grad(lambda x: grid(x[None, None])[0, 0])))
    borders = jnp.linspace(-1, 1, 9)[1:-1]
    return float(abs(slope(borders + 1e-4) - slope(borders - 1e-4)).max())


def test_a_linear_grid_has_corners_and_a_smooth_one_has_none():
    assert largest_jump(1) > 1
    assert largest_jump(2) < 0.05


def finite_difference(f, x, at, step):
    "The slope of `f` along one number of an array."
    return (f(x.at[at].add(step)) - f(x.at[at].add(-step))) / (2 * step)


MODELS = {
    "siren": lambda: Siren(2, 3, width=8, depth=2, first_omega=5.0, omega=5.0, rngs=nnx.Rngs(0)),
    "grid": lambda: random_grid(2, finest=8, n_levels=2),
    "linear": lambda: random_grid(2, finest=8, order=1),
    "hashed": lambda: random_grid(2, finest=8, table_size=30),
}


def places_and_weights(model):
    "Places, and a weight for each number that the model answers."
    x = jax.random.uniform(jax.random.key(1), (20, 2), minval=-0.95, maxval=0.95)
    return x, jax.random.normal(jax.random.key(2), (20, answer(model, x).shape[1]))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_gradients_agree_with_finite_differences(make):
    model = make()
    x, weights = places_and_weights(model)
    leaves, tree = jax.tree.flatten(model)

    @jax.jit
    def value(leaves):
        return (weights * jax.tree.unflatten(tree, leaves)(x)).sum()

    def value_with(i, new):
        return value([*leaves[:i], new, *leaves[i + 1 :]])

    gradient = jax.grad(value)(leaves)
    for i, leaf in enumerate(leaves):
        chosen = np.random.default_rng(i).choice(leaf.size, min(5, leaf.size), replace=False)
        for at in zip(*np.unravel_index(chosen, leaf.shape)):
            measured = finite_difference(partial(value_with, i), leaf, at, 1e-2)
            np.testing.assert_allclose(gradient[i][at], measured, rtol=0.03, atol=0.01)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_slopes_along_places_agree_with_finite_differences(make):
    model = make()
    x, weights = places_and_weights(model)

    @jax.jit
    def value(x):
        return (weights * model(x)).sum()

    measured = finite_difference(value, x, (3, 1), 1e-3)
    np.testing.assert_allclose(jax.grad(value)(x)[3, 1], measured, rtol=0.05, atol=0.02)


def test_only_nodes_nearby_are_trained():
    start = random_grid(2, n_levels=1, finest=16, n_features=1)
    x = jnp.full((64, 2), -0.97)
    run = fit(start, x, jnp.zeros((64, 1)), key=jax.random.key(0), n_epochs=3, batch_size=8)
    changed = (run.model.tables[0][...] != start.tables[0][...])[:, 0].reshape(18, 18)
    assert changed[:3, :3].all()
    assert changed.sum() == 9


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(in_features=0), ValueError, "in_features=0"),
        (dict(in_features=4), ValueError, "in_features=4"),
        (dict(order=0), ValueError, "order=0"),
        (dict(order=3), ValueError, "order=3"),
        (dict(order=2.0), TypeError, "order=2.0"),
        (dict(extent=(1,)), ValueError, "extent=\\(1.0,\\) must be 2"),
        (dict(extent=(1, 0)), ValueError, "extent"),
        (dict(extent=(1, 2)), ValueError, "extent"),
        (dict(finest=0), ValueError, "finest=0"),
        (dict(finest=2.5), TypeError, "finest=2.5"),
        (dict(coarsest=0), ValueError, "coarsest=0"),
        (dict(coarsest=200), ValueError, "coarsest=200"),
        (dict(table_size=0), ValueError, "table_size=0"),
        (dict(n_features=0), ValueError, "n_features=0"),
    ],
    ids=str,
)
def test_a_grid_that_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        HashGrid(**{"in_features": 2, **options}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)], ids=str)
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected \\(n, 2\\)"):
        HashGrid(2, finest=4, n_levels=1, rngs=nnx.Rngs(0))(jnp.zeros(shape))


def test_a_flat_picture_needs_fewer_nodes_of_the_same_size():
    square = HashGrid(2, finest=64, rngs=nnx.Rngs(0))
    flat = HashGrid(2, finest=64, extent=(0.25, 1), rngs=nnx.Rngs(0))
    assert square.resolutions[-1] == (64, 64)
    assert flat.resolutions[-1] == (16, 64)
    assert sum(t.shape[0] for t in flat.tables) < 0.4 * sum(t.shape[0] for t in square.tables)
