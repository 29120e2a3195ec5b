"""The networks of the experiments, in the browser, compute what JAX computes.

Their answers, gradients, Adam's steps, the geometry of a painting, and the files they are read from."""

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
from cadl_flax.networks import MLP, Siren
from cadl_flax.painting import mlp_behind, paint
from cadl_flax.pictures import render
from cadl_flax.regression import mse
from cadl_flax.tracking import save


@pytest.fixture(scope="module")
def tab(browser, root):
    "A page that has loaded the networks."
    tab = browser.new_page()
    for name in ("kit", "network"):
        tab.add_script_tag(path=root / f"nbs/experiments/{name}.js")
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
    net = network.read(bytes);
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
    const old = network.read(bytes);
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


FORWARD = """x => {
    const answers = network.forward(net, new Float32Array(x.flat()), x.length);
    return [...answers.subarray(0, x.length * net.outputs)];
}"""


@pytest.mark.parametrize("name", NETWORKS)
def test_forward(tab, tmp_path, name):
    model, x = opened(tab, tmp_path, name), places(200, reach=1.2)
    painted = np.reshape(tab.evaluate(FORWARD, x.tolist()), (200, 3))
    expected = np.asarray(jax.jit(lambda model, x: model(x))(model, x))
    assert expected.std() > 0.1
    np.testing.assert_allclose(painted, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_activations_are_kept_by_layer(tab, tmp_path):
    model, x = opened(tab, tmp_path, "waves"), places(7)
    tab.evaluate(FORWARD, x.tolist())
    waves, mlp = model.layers
    expected = [waves(x)]
    for layer in [*mlp.hidden, mlp.out]:
        expected.append(layer(expected[-1]))
    for depth, theirs in enumerate(expected):
        cut = f"[...net.activations[{depth}].subarray(0, {theirs.size})]"
        ours = np.reshape(tab.evaluate(cut), theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(abs(theirs).max()))


GRADIENTS = """([x, y, areFeatures]) => {
    const [n, given] = [x.length, new Float32Array(x.flat())];
    const places = areFeatures ? network.features(net, given, n) : given;
    const loss = network.slopes(net, places, new Float32Array(y.flat()), n, areFeatures);
    return [loss, net.parameters.map(({slope}) => [...slope])];
}"""


def parameters(model):
    "The arrays of a model in the order of the browser: tables, then kernel and bias by layer."
    encoding, mlp = model.layers if isinstance(model, nnx.Sequential) else (None, model)
    tables = [table[...] for table in getattr(encoding, "tables", [])]
    layers = [*mlp.hidden, mlp.out]
    return tables + [array[...] for layer in layers for array in (layer.kernel, layer.bias)]


@pytest.mark.parametrize("are_features", [False, True])
@pytest.mark.parametrize("n", [50, 33])
@pytest.mark.parametrize("name", NETWORKS)
def test_slopes(tab, tmp_path, name, n, are_features):
    if are_features and "grids" in name:
        pytest.skip("what grids make of a place changes in training")
    model, x, y = opened(tab, tmp_path, name), places(n), colours(n)
    expected_loss, gradient = jax.value_and_grad(lambda m: mse(m(x), y))(model)
    loss, found = tab.evaluate(GRADIENTS, [x.tolist(), y.tolist(), are_features])
    assert loss == pytest.approx(float(expected_loss), rel=1e-5)
    for ours, theirs in zip(found, parameters(gradient), strict=True):
        atol = 2e-5 * float(jnp.abs(theirs).max())
        np.testing.assert_allclose(ours, np.ravel(theirs), atol=atol)


TEN_STEPS = """([x, y]) => {
    const [places, colours] = [x, y].map(rows => new Float32Array(rows.flat()));
    const losses = Array.from({length: 10}, () => network.step(net, places, colours, x.length, .01));
    return [losses, net.parameters.map(({value}) => [...value])];
}"""


@pytest.mark.parametrize("name", ["waves", "grids"])
def test_steps_are_those_of_adam(tab, tmp_path, name):
    model, x, y = opened(tab, tmp_path, name), places(40), colours(40)
    adam = optax.adam(1e-2)
    state = adam.init(nnx.state(model, nnx.Param))

    @jax.jit
    def step(model, state):
        slopes = jax.grad(lambda m: mse(m(x), y))(model)
        updates, state = adam.update(nnx.state(slopes, nnx.Param), state)
        nnx.update(model, optax.apply_updates(nnx.state(model, nnx.Param), updates))
        return model, state

    for _ in range(10):
        model, state = step(model, state)
    losses, found = tab.evaluate(TEN_STEPS, [x.tolist(), y.tolist()])
    assert losses[-1] < 0.5 * losses[0]
    for ours, theirs in zip(found, parameters(model), strict=True):
        np.testing.assert_allclose(ours, np.ravel(theirs), atol=2e-4)


PAINT = """([h, w, window]) => {
    let last;
    for (last of network.paintCoarseFirst(net, h, w, window ?? undefined, 8));
    return [[...last], [...network.paint(net, h, w, window ?? undefined)]];
}"""


@pytest.mark.parametrize("h, w, row, col, half", [(24, 36, 0, 0, 1), (30, 20, 0.25, -0.5, 0.25)])
def test_a_window_is_painted_where_render_has_it(tab, tmp_path, h, w, row, col, half):
    model = opened(tab, tmp_path, "grids")
    tall, wide = half * h / max(h, w), half * w / max(h, w)
    window = [row - tall, col - wide, row + tall, col + wide]
    expected = render(model, h, w, window=window)
    assert expected.std() > 0.1
    for painted in tab.evaluate(PAINT, [h, w, window if half < 1 else None]):
        np.testing.assert_allclose(np.clip(painted, 0, 1), expected.ravel(), atol=2e-4)


def test_a_small_picture_is_enlarged(tab):
    colours = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    large = tab.evaluate(
        "c => [...network.enlarge(new Float32Array(c), 4, 5, 3)]", colours.ravel().tolist()
    )
    np.testing.assert_array_equal(large, colours.repeat(3, 0).repeat(3, 1).ravel())


# ---------------------------------------------------------------------- files

READ = """content => {
    const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
    net = network.read(bytes);
    return net.picture;
}"""


def read(tab, path):
    return tab.evaluate(READ, base64.b64encode(path.read_bytes()).decode())


@pytest.mark.parametrize("name", ["full-grid", "half-grid", "grid", "siren", "fourier", "mlp"])
@pytest.mark.parametrize("shape", [(16, 24, 3), (45, 30)])
def test_paintings_are_painted_as_in_python(tab, tmp_path, name, shape):
    "Of every network that `paint` has a name for, in colour and gray."
    photo = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    painting = paint(photo, network=name, n_epochs=2)
    save(painting, tmp_path / "painting.safetensors")
    assert read(tab, tmp_path / "painting.safetensors") == list(shape[:2])
    ours = tab.evaluate("[...network.paint(net, 20, 20, [-.5, -.5, .6, .4])]")
    theirs = render(painting.run.model, 20, 20, window=(-0.5, -0.5, 0.6, 0.4))
    theirs = np.broadcast_to(theirs, (20, 20, 3))
    np.testing.assert_allclose(np.clip(ours, 0, 1), theirs.ravel(), atol=1e-4)


def test_shared_rows_are_found_by_the_hash(tab, tmp_path):
    network = mlp_behind(HashGrid, n_levels=2, finest=24, table_size=64, width=8)
    model = shaken(network(2, 3, rngs=nnx.Rngs(0)))
    grid = model.layers[0]
    settings = dict(cells=grid.resolutions, extent=grid.extent, order=grid.order)
    save(model, tmp_path / "hashed.safetensors", settings=settings)
    read(tab, tmp_path / "hashed.safetensors")
    x = places(100)
    np.testing.assert_allclose(
        tab.evaluate(FORWARD, x.tolist()), np.ravel(model(x)), rtol=1e-4, atol=1e-4
    )


def test_half_of_the_bits_are_read(tab, tmp_path):
    model, settings = network("grids")
    half = jax.tree.map(jnp.float16, model)
    save(half, tmp_path / "half.safetensors", settings=settings)
    read(tab, tmp_path / "half.safetensors")
    kept = np.concatenate([np.ravel(array) for array in parameters(half)])
    ours = tab.evaluate("net.parameters.flatMap(({value}) => [...value])")
    np.testing.assert_array_equal(ours, kept.astype(np.float32))


def test_a_siren_is_not_trained(tab, tmp_path):
    model = Siren(2, 3, width=8, rngs=nnx.Rngs(0))
    save(model, tmp_path / "siren.safetensors", settings={"first_omega": 30.0})
    read(tab, tmp_path / "siren.safetensors")
    np.testing.assert_allclose(
        tab.evaluate(FORWARD, places(9).tolist()), np.ravel(model(places(9))), atol=1e-5
    )
    with pytest.raises(Exception, match="not trained"):
        tab.evaluate(GRADIENTS, [places(9).tolist(), colours(9).tolist(), False])


def header(words, **arrays):
    "The content of a safetensors file."
    return safetensors.numpy.save(arrays, words)


WORDS = {"cadl_flax": json.dumps({"format": 2, "kind": "model", "settings": {}})}
REFUSED = {
    "no safetensors file": b"\x89PNG and so on, which is a picture",
    "this is no safetensors": b"",
    "not written by cadl_flax": header({"format": "pt"}, weight=np.ones((2, 3), np.float32)),
    "a newer cadl_flax": header({"cadl_flax": '{"format": 3}'}, x=np.ones(1, np.float32)),
    "no network in": header(WORDS, x=np.ones(1, np.float32)),
    "not one that paint makes": header(
        WORDS,
        **{
            "model.a.kernel": np.ones((3, 3, 2, 4), np.float32),
            "model.a.bias": np.ones(4, np.float32),
        },
    ),
    "how the nodes": header(
        WORDS,
        **{
            "model.a.tables.0": np.ones((9, 4), np.float32),
            "model.b.kernel": np.ones((4, 3), np.float32),
            "model.b.bias": np.ones(3, np.float32),
        },
    ),
    "numbers of type F64": header(WORDS, **{"model.a.kernel": np.ones((2, 3))}),
    "cut off": header(WORDS, **{"model.a.kernel": np.ones((2, 3), np.float32)})[:-1],
}


@pytest.mark.parametrize("words", REFUSED)
def test_other_files_are_refused_with_a_reason(tab, words):
    with pytest.raises(Exception, match=words):
        tab.evaluate(READ, base64.b64encode(REFUSED[words]).decode())


# ---------------------------------------------------------------------- new networks

CREATED = """options => {
    net = network.create(options);
    return net.layers.map(({kernel}) => [...kernel]);
}"""


def test_a_new_network_is_decided_by_its_seed(tab):
    one, again, other = [tab.evaluate(CREATED, {"seed": seed}) for seed in (1, 1, 2)]
    assert one == again != other


def test_a_new_network_starts_by_he_and_for_its_last_layer_by_lecun(tab):
    kernels = tab.evaluate(CREATED, {"seed": 1})
    deviations = [np.std(kernel) for kernel in kernels]
    expected = np.sqrt([2 / 64, 2 / 32, 2 / 32, 1 / 32])
    np.testing.assert_allclose(deviations, expected, rtol=0.15)
    assert max(abs(np.mean(kernel)) for kernel in kernels) < 0.03


@pytest.mark.parametrize("shape", [(64, 64), (45, 64), (11, 3)])
def test_a_new_half_grid_has_the_nodes_of_paint(tab, shape):
    options = {"kind": "half-grid", "picture": shape, "width": 64, "depth": 2}
    tab.evaluate(CREATED, options)
    painting = paint(np.zeros((*shape, 3), np.uint8), network="half-grid", n_epochs=1)
    grid = painting.run.model.layers[0]
    assert tab.evaluate("net.grid.cells") == [list(cells) for cells in grid.resolutions]
    assert tab.evaluate("network.count(net)") == painting.n_parameters


LINE = """options => {
    net = network.create({inputs: 1, outputs: 1, ...options});
    const x = Float32Array.from({length: 21}, (_, i) => i / 10 - 1);
    const y = x.map(Math.abs);
    let loss;
    for (let i = 0; i < 400; i++) loss = network.step(net, x, y, 21, .005);
    return loss;
}"""


@pytest.mark.parametrize("options", [{"kind": "places"}, {"waves": 5}, {"waves": 0, "depth": 1}])
def test_a_network_learns_a_line_of_one_number(tab, options):
    assert tab.evaluate(LINE, options) < 0.005
