"""The painter of the live page computes what JAX computes.

Its networks, their gradients, Adam's steps and the geometry of a painting."""

import base64
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
from flax import nnx

from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures
from cadl_flax.networks import MLP
from cadl_flax.painting import mlp_behind
from cadl_flax.pictures import render
from cadl_flax.regression import mse
from cadl_flax.tracking import save


@pytest.fixture(scope="module")
def tab(browser, root):
    "A page that has loaded the painter."
    tab = browser.new_page()
    tab.add_script_tag(path=root / "nbs/painter.js")
    yield tab
    tab.close()


NETWORKS = {
    "places": MLP,
    "waves": mlp_behind(FourierFeatures, n_frequencies=24, sigma=1.5, width=20),
    "grids": mlp_behind(HashGrid, n_levels=3, finest=24, extent=(0.75, 1.0), depth=2),
    "linear grids": mlp_behind(HashGrid, n_levels=11, coarsest=2, finest=30, n_features=3, order=1),
}


def shaken(model):
    "The model with parameters random enough that each of them matters."
    leaves, tree = jax.tree.flatten(model)
    for i, leaf in enumerate(leaves):
        leaves[i] = leaf + 0.3 * jax.random.normal(jax.random.key(i), leaf.shape)
    return jax.tree.unflatten(tree, leaves)


def network(name, key=0):
    "A network and the settings that its file needs."
    model = shaken(NETWORKS[name](2, 3, rngs=nnx.Rngs(key)))
    if "grids" not in name:
        return model, {}
    grid = model.layers[0]
    return model, dict(cells=grid.resolutions, extent=grid.extent, order=grid.order)


OPEN = """content => {
    const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
    net = painter.read(bytes.buffer);
}"""


def opened(tab, tmp_path, name):
    "The network, once here and once in the browser as `net`."
    model, settings = network(name)
    path = tmp_path / "net.safetensors"
    save(model, path, settings=settings)
    tab.evaluate(OPEN, base64.b64encode(path.read_bytes()).decode())
    return model


READ_THE_SAME = """content => {
    const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
    const old = painter.read(bytes.buffer);
    return JSON.stringify(old) === JSON.stringify(net) && old.layers.length > 0;
}"""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_of_format_1_is_read(tab, tmp_path, name):
    "There every word has a key of its own."
    opened(tab, tmp_path, name)
    arrays = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    old = {"format": "1", "kind": "model", "settings": json.dumps(network(name)[1])}
    content = base64.b64encode(safetensors.numpy.save(arrays, old)).decode()
    assert tab.evaluate(READ_THE_SAME, content)


def places(n, seed=0, reach=1.0):
    "Places by chance, as far out as `reach`."
    return jax.random.uniform(jax.random.key(seed), (n, 2), minval=-reach, maxval=reach)


def colours(n):
    "Colours by chance."
    return jax.random.uniform(jax.random.key(1), (n, 3))


@pytest.mark.parametrize("name", NETWORKS)
def test_forward(tab, tmp_path, name):
    model, x = opened(tab, tmp_path, name), places(200, reach=1.2)
    forward = "x => x.map(([row, col]) => [...painter.forward(net, row, col)])"
    painted = tab.evaluate(forward, x.tolist())
    expected = np.asarray(jax.jit(lambda model, x: model(x))(model, x))
    assert expected.std() > 0.1
    np.testing.assert_allclose(painted, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


GRADIENTS = """([x, y]) => {
    const loss = painter.slopes(net, x, y);
    return [loss, net.layers.map(l => [[...l.dKernel], [...l.dBias]])];
}"""


@pytest.mark.parametrize("name", ["places", "waves"])
def test_slopes(tab, tmp_path, name):
    model, x, y = opened(tab, tmp_path, name), places(50), colours(50)
    expected_loss, gradient = jax.value_and_grad(lambda m: mse(m(x), y))(model)
    loss, layers = tab.evaluate(GRADIENTS, [x.tolist(), y.tolist()])
    assert loss == pytest.approx(float(expected_loss), rel=1e-5)
    mlp = gradient if name == "places" else gradient.layers[1]
    for layer, (kernel, bias) in zip([*mlp.hidden, mlp.out], layers, strict=True):
        for ours, theirs in ((kernel, layer.kernel[...]), (bias, layer.bias[...])):
            atol = 1e-5 * float(jnp.abs(theirs).max())
            np.testing.assert_allclose(ours, np.ravel(theirs), atol=atol)


TEN_STEPS = """([x, y]) => {
    const losses = Array.from({length: 10}, () => painter.step(net, x, y, .01));
    return [losses, net.layers.map(l => [...l.kernel])];
}"""


def test_steps_are_those_of_adam(tab, tmp_path):
    model, x, y = opened(tab, tmp_path, "waves"), places(40), colours(40)
    waves, trained = model.layers  # the frequencies of waves are not trained
    adam = optax.adam(1e-2)
    encoded, state = waves(x), adam.init(trained)

    @jax.jit
    def step(model, state):
        updates, state = adam.update(jax.grad(lambda m: mse(m(encoded), y))(model), state)
        return optax.apply_updates(model, updates), state

    for _ in range(10):
        trained, state = step(trained, state)
    losses, kernels = tab.evaluate(TEN_STEPS, [x.tolist(), y.tolist()])
    assert losses[-1] < 0.5 * losses[0]
    for layer, kernel in zip([*trained.hidden, trained.out], kernels, strict=True):
        np.testing.assert_allclose(kernel, np.ravel(layer.kernel[...]), atol=2e-5)


PAINT = """([h, w, view]) => {
    const image = new ImageData(w, h);
    for (const _ of painter.paint(net, image, view, 8));
    return [...image.data];
}"""


@pytest.mark.parametrize("h, w, row, col, half", [(24, 36, 0, 0, 1), (30, 20, 0.25, -0.5, 0.25)])
def test_a_window_is_painted_where_render_has_it(tab, tmp_path, h, w, row, col, half):
    model = opened(tab, tmp_path, "grids")
    painted = np.reshape(tab.evaluate(PAINT, [h, w, [row, col, half]]), (h, w, 4))
    tall, wide = half * h / max(h, w), half * w / max(h, w)
    expected = render(model, h, w, window=(row - tall, col - wide, row + tall, col + wide))
    assert (painted[..., 3] == 255).all()
    assert expected.std() > 0.1
    assert np.abs(painted[..., :3] - 255 * expected).max() <= 0.51


def created(tab, seed):
    "The kernels of a new network in the browser."
    return tab.evaluate("seed => painter.create(seed).layers.map(l => [...l.kernel])", seed)


def test_a_new_network_is_decided_by_its_seed(tab):
    assert created(tab, 1) == created(tab, 1) != created(tab, 2)


def test_a_new_network_starts_by_he_and_for_its_last_layer_by_lecun(tab):
    kernels = created(tab, 1)
    deviations = [np.std(kernel) for kernel in kernels]
    expected = np.sqrt([2 / 64, 2 / 32, 2 / 32, 1 / 32])
    np.testing.assert_allclose(deviations, expected, rtol=0.15)
    assert max(abs(np.mean(kernel)) for kernel in kernels) < 0.03
