"The painter of the live page computes what JAX computes: its networks, their slopes, Adam's steps and the geometry of a painting."
import base64

import jax, jax.numpy as jnp, numpy as np, optax, pytest
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
    tab = browser.new_page()
    tab.add_script_tag(path=root/"nbs/painter.js")
    yield tab
    tab.close()


NETWORKS = {
    "places": MLP, "waves": mlp_behind(FourierFeatures, n_frequencies=24, sigma=1.5, width=20), "grids": mlp_behind(HashGrid, n_levels=3, finest=24, extent=(.75, 1.), depth=2),
    "linear grids": mlp_behind(HashGrid, n_levels=11, coarsest=2, finest=30, n_features=3, order=1),
}


def network(name, key=0):
    "A network, its parameters random enough that each of them matters, and the settings that its file needs."
    model = NETWORKS[name](2, 3, rngs=nnx.Rngs(key))
    leaves, tree = jax.tree.flatten(model)
    model = jax.tree.unflatten(tree, [leaf + .3*jax.random.normal(jax.random.key(i), leaf.shape) for i, leaf in enumerate(leaves)])
    grid = model.layers[0] if "grids" in name else None
    return model, dict(cells=grid.resolutions, extent=grid.extent, order=grid.order) if grid else {}


def opened(tab, tmp_path, name):
    "The network, once here and once in the browser as `net`."
    model, settings = network(name)
    save(model, tmp_path/"net.safetensors", settings=settings)
    content = base64.b64encode((tmp_path/"net.safetensors").read_bytes()).decode()
    tab.evaluate("content => { net = painter.read(Uint8Array.from(atob(content), c => c.charCodeAt(0)).buffer); }", content)
    return model


def places(n, seed=0, reach=1.): return jax.random.uniform(jax.random.key(seed), (n, 2), minval=-reach, maxval=reach)


@pytest.mark.parametrize("name", NETWORKS)
def test_forward(tab, tmp_path, name):
    model, x = opened(tab, tmp_path, name), places(200, reach=1.2)
    painted = tab.evaluate("x => x.map(([row, col]) => [...painter.forward(net, row, col)])", x.tolist())
    expected = np.asarray(jax.jit(lambda model, x: model(x))(model, x))
    assert expected.std() > .1
    np.testing.assert_allclose(painted, expected, rtol=1e-5, atol=1e-5*np.abs(expected).max())


@pytest.mark.parametrize("name", ["places", "waves"])
def test_slopes(tab, tmp_path, name):
    model, x, y = opened(tab, tmp_path, name), places(50), jax.random.uniform(jax.random.key(1), (50, 3))
    loss, slope = jax.value_and_grad(lambda m: mse(m(x), y))(model)
    value, slopes = tab.evaluate("([x, y]) => [painter.slopes(net, x, y), net.layers.map(l => [[...l.dKernel], [...l.dBias]])]", [x.tolist(), y.tolist()])
    assert value == pytest.approx(float(loss), rel=1e-5)
    mlp = slope if name == "places" else slope.layers[1]
    for layer, (kernel, bias) in zip([*mlp.hidden, mlp.out], slopes, strict=True):
        for ours, theirs in ((kernel, layer.kernel[...]), (bias, layer.bias[...])):
            np.testing.assert_allclose(ours, np.ravel(theirs), atol=1e-5*float(jnp.abs(theirs).max()))


def test_steps_are_those_of_adam(tab, tmp_path):
    model, x, y = opened(tab, tmp_path, "waves"), places(40), jax.random.uniform(jax.random.key(1), (40, 3))
    adam = optax.adam(1e-2)
    trained = model.layers[1] # the frequencies of waves are not trained
    encoded, state = model.layers[0](x), adam.init(trained)

    @jax.jit
    def step(model, state):
        updates, state = adam.update(jax.grad(lambda m: mse(m(encoded), y))(model), state)
        return optax.apply_updates(model, updates), state

    for _ in range(10): trained, state = step(trained, state)
    losses, kernels = tab.evaluate("([x, y]) => [Array.from({length: 10}, () => painter.step(net, x, y, .01)), net.layers.map(l => [...l.kernel])]", [x.tolist(), y.tolist()])
    assert losses[-1] < .5*losses[0]
    for layer, kernel in zip([*trained.hidden, trained.out], kernels, strict=True): np.testing.assert_allclose(kernel, np.ravel(layer.kernel[...]), atol=2e-5)


@pytest.mark.parametrize("h, w, row, col, half", [(24, 36, 0, 0, 1), (30, 20, .25, -.5, .25)])
def test_a_window_is_painted_where_render_has_it(tab, tmp_path, h, w, row, col, half):
    model = opened(tab, tmp_path, "grids")
    painted = tab.evaluate("""([h, w, view]) => { const image = new ImageData(w, h); for (const _ of painter.paint(net, image, view, 8)); return [...image.data]; }""", [h, w, [row, col, half]])
    painted = np.reshape(painted, (h, w, 4))
    tall, wide = half*h/max(h, w), half*w/max(h, w)
    expected = render(model, h, w, window=(row - tall, col - wide, row + tall, col + wide))
    assert (painted[..., 3] == 255).all() and expected.std() > .1
    assert np.abs(painted[..., :3] - 255*expected).max() <= .51


def test_a_new_network_is_decided_by_its_seed(tab):
    drawn = "seed => painter.create(seed).layers.map(l => [...l.kernel])"
    one, again, other = tab.evaluate(drawn, 1), tab.evaluate(drawn, 1), tab.evaluate(drawn, 2)
    assert one == again != other
    deviations = [np.std(kernel) for kernel in one]
    np.testing.assert_allclose(deviations, np.sqrt([2/64, 2/32, 2/32, 1/32]), rtol=.15) # He's for ReLUs, LeCun's for the last
    assert max(abs(np.mean(kernel)) for kernel in one) < .03
