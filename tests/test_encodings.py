"Sines, SIREN and grids agree with plain NumPy and with finite differences, whatever their settings; and each sees what it should."
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures, _sine
from cadl_flax.networks import Siren
from cadl_flax.training import fit


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e4, 1e4, width=32))
def test_sine(x):
    assert abs(float(_sine(jnp.float32(x))) - np.sin(x)) < 3e-7
    assert abs(float(jax.grad(_sine)(jnp.float32(x))) - np.cos(x)) < 1e-6


def test_sine_under_jit_is_within_the_same_bound():
    x = np.linspace(-1e4, 1e4, 2_000_001, dtype=np.float32)
    assert abs(np.asarray(jax.jit(_sine)(x)) - np.sin(x.astype(float))).max() < 3e-7


def test_sine_is_odd_and_of_any_shape():
    x = np.random.default_rng(0).normal(0, 30, (3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(_sine(-x), -_sine(x))
    assert _sine(x).shape == x.shape and _sine(x).dtype == jnp.float32


def test_fourier_features_agree_with_numpy():
    features = FourierFeatures(2, 16, sigma=5., rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).uniform(-1, 1, (100, 2)).astype(np.float32)
    angles = 2*np.pi*x.astype(float) @ np.asarray(features.frequencies[...], float)
    np.testing.assert_allclose(features(x), np.concatenate([np.sin(angles), np.cos(angles)], 1), atol=2e-5)


def siren_by_hand(model, x):
    h = np.asarray(x, float)
    for i, layer in enumerate(model.hidden):
        h = np.sin((model.omega if i else model.first_omega)*(h @ np.asarray(layer.kernel[...], float) + np.asarray(layer.bias[...], float)))
    return h @ np.asarray(model.out.kernel[...], float) + np.asarray(model.out.bias[...], float)


@pytest.mark.parametrize("options", [{}, dict(depth=1), dict(depth=5, width=16), dict(first_omega=90., omega=10.)], ids=str)
def test_siren_agrees_with_numpy(options):
    model = Siren(2, 3, rngs=nnx.Rngs(0), **options)
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    np.testing.assert_allclose(answer(model, x), siren_by_hand(model, x), atol=5e-4)


def test_siren_starts_as_in_the_paper():
    model = Siren(2, 3, width=256, depth=3, rngs=nnx.Rngs(0))
    for i, layer in enumerate([*model.hidden, model.out]):
        bound = 1/2 if i == 0 else np.sqrt(6/256)/30
        largest = float(abs(layer.kernel[...]).max())
        assert .9*bound < largest <= bound
        assert float(abs(layer.bias[...]).max()) <= 1/np.sqrt(2 if i == 0 else 256)


def spline(f, order): return [1 - f, f] if order == 1 else [(1 - f)**2/2, .5 + f*(1 - f), f**2/2]


def grid_by_hand(grid, x):
    "One place, one node at a time."
    out = np.zeros((len(x), grid.out_features))
    extent = np.array(grid.extent, np.float32)
    for k, point in enumerate(np.clip(np.asarray(x, np.float32)/extent, -1, 1)):
        columns = []
        for stored, resolution in zip(grid.tables, grid.resolutions):
            table, cells, total = np.asarray(stored[...], float), np.array(resolution), 0
            sides = cells + grid.order
            at = (point + np.float32(1))/2*cells.astype(np.float32)
            cell = np.clip(np.floor(at), 0, cells - 1).astype(int)
            shares = [spline(float(f), grid.order) for f in at - cell]
            for taps in product(range(grid.order + 1), repeat=len(point)):
                node = [int(c) + tap for c, tap in zip(cell, taps)]
                if np.prod(sides) <= len(table): row = sum(n*int(np.prod(sides[:j])) for j, n in enumerate(node))
                else:
                    row = 0
                    for n, prime in zip(node, (1, 2654435761, 805459861)): row ^= n*prime % 2**32
                    row %= len(table)
                total = total + np.prod([shares[j][tap] for j, tap in enumerate(taps)])*table[row]
            columns.append(total)
        out[k] = np.concatenate(columns)
    return out


def random_grid(dimensions, **options):
    "A grid whose features are large enough to be told apart."
    grid = HashGrid(dimensions, rngs=nnx.Rngs(0), **options)
    for i, table in enumerate(grid.tables): table[...] = np.random.default_rng(i).normal(size=table.shape).astype(np.float32)
    return grid


@jax.jit
def answer(model, x): return model(x)


GRIDS = [dict(), dict(order=1), dict(finest=33, coarsest=5, n_levels=3), dict(finest=1), dict(table_size=50), dict(table_size=64, order=1), dict(finest=16, extent=(1, .3))]


@pytest.mark.parametrize("dimensions, options", [*((2, options) for options in GRIDS), (1, GRIDS[0]), (3, GRIDS[0]), (3, GRIDS[5])], ids=str)
def test_grid_agrees_with_numpy(dimensions, options):
    grid = random_grid(dimensions, **{"finest": 8, "n_levels": 2, **options})
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-1.3, 1.3, (40, dimensions)), [[-1]*dimensions, [1]*dimensions, [0]*dimensions]]).astype(np.float32)
    painted = answer(grid, x)
    assert painted.shape == (43, grid.out_features)
    np.testing.assert_allclose(painted, grid_by_hand(grid, x), atol=2e-4)


@pytest.mark.parametrize("options", GRIDS, ids=str)
def test_what_is_the_same_at_all_nodes_is_the_same_between(options):
    grid = HashGrid(2, rngs=nnx.Rngs(0), **{"finest": 8, "n_levels": 2, **options})
    for table in grid.tables: table[...] = np.ones(table.shape, np.float32)
    np.testing.assert_allclose(answer(grid, np.random.default_rng(0).uniform(-2, 2, (500, 2))), 1, atol=1e-5)


def test_a_linear_grid_has_corners_and_a_smooth_one_has_none():
    def jump(order):
        "How much the slope changes at a border between cells."
        grid = random_grid(1, n_levels=1, finest=8, n_features=1, order=order)
        slope = jax.jit(jax.vmap(jax.grad(lambda x: grid(x[None, None])[0, 0])))
        at = jnp.linspace(-1, 1, 9)[1:-1]
        return float(abs(slope(at + 1e-4) - slope(at - 1e-4)).max())
    assert jump(1) > 1 > .05 > jump(2)


def finite_difference(f, leaf, at, step):
    return (f(leaf.at[at].add(step)) - f(leaf.at[at].add(-step)))/(2*step)


@pytest.mark.parametrize("make", [lambda: Siren(2, 3, width=8, depth=2, first_omega=5., omega=5., rngs=nnx.Rngs(0)), lambda: random_grid(2, finest=8, n_levels=2),
                                  lambda: random_grid(2, finest=8, order=1), lambda: random_grid(2, finest=8, table_size=30)], ids=["siren", "grid", "linear", "hashed"])
def test_gradients_agree_with_finite_differences(make):
    model = make()
    x = jax.random.uniform(jax.random.key(1), (20, 2), minval=-.95, maxval=.95)
    weights = jax.random.normal(jax.random.key(2), (20, answer(model, x).shape[1]))
    leaves, tree = jax.tree.flatten(model)
    @jax.jit
    def value(leaves): return (weights*jax.tree.unflatten(tree, leaves)(x)).sum()
    slopes = jax.grad(value)(leaves)
    for i, (leaf, slope) in enumerate(zip(leaves, slopes)):
        for k in np.random.default_rng(i).choice(leaf.size, min(5, leaf.size), replace=False):
            at = np.unravel_index(k, leaf.shape)
            measured = finite_difference(lambda new: value([*leaves[:i], new, *leaves[i + 1:]]), leaf, at, 1e-2)
            np.testing.assert_allclose(slope[at], measured, rtol=.03, atol=.01)
    @jax.jit
    def along(x): return (weights*model(x)).sum()
    slope = jax.grad(along)(x)
    moved = finite_difference(along, x, (3, 1), 1e-3)
    np.testing.assert_allclose(slope[3, 1], moved, rtol=.05, atol=.02)


def test_only_nodes_nearby_are_trained():
    start = random_grid(2, n_levels=1, finest=16, n_features=1)
    x = jnp.full((64, 2), -.97)
    run = fit(start, x, jnp.zeros((64, 1)), key=jax.random.key(0), n_epochs=3, batch_size=8)
    changed = (run.model.tables[0][...] != start.tables[0][...])[:, 0].reshape(18, 18)
    assert changed[:3, :3].all() and changed.sum() == 9


@pytest.mark.parametrize("options, error, message", [(dict(in_features=0), ValueError, "in_features=0"), (dict(in_features=4), ValueError, "in_features=4"), (dict(order=0), ValueError, "order=0"), (dict(order=3), ValueError, "order=3"), (dict(order=2.), TypeError, "order=2.0"),
                                                     (dict(extent=(1,)), ValueError, "extent=\\(1.0,\\) must be 2"), (dict(extent=(1, 0)), ValueError, "extent"), (dict(extent=(1, 2)), ValueError, "extent"),
                                                     (dict(finest=0), ValueError, "finest=0"), (dict(finest=2.5), TypeError, "finest=2.5"), (dict(coarsest=0), ValueError, "coarsest=0"),
                                                     (dict(coarsest=200), ValueError, "coarsest=200"), (dict(table_size=0), ValueError, "table_size=0"), (dict(n_features=0), ValueError, "n_features=0")], ids=str)
def test_a_grid_that_cannot_be_is_refused(options, error, message):
    with pytest.raises(error, match=message): HashGrid(**{"in_features": 2, **options}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3)], ids=str)
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected \\(n, 2\\)"): HashGrid(2, finest=4, n_levels=1, rngs=nnx.Rngs(0))(jnp.zeros(shape))


def test_a_flat_picture_needs_fewer_nodes_of_the_same_size():
    square, flat = HashGrid(2, finest=64, rngs=nnx.Rngs(0)), HashGrid(2, finest=64, extent=(.25, 1), rngs=nnx.Rngs(0))
    assert square.resolutions[-1] == (64, 64) and flat.resolutions[-1] == (16, 64)
    assert sum(t.shape[0] for t in flat.tables) < .4*sum(t.shape[0] for t in square.tables)
