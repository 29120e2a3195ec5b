"Networks, runs and paintings are pickled, copied and sent, and train on to the same bits."

import copy
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from skimage import data

from cadl_flax.encodings import HashGrid
from cadl_flax.features import FourierFeatures
from cadl_flax.gallery import ManyPictures
from cadl_flax.networks import MLP, Siren
from cadl_flax.painting import mlp_behind, paint, paint_chunks
from cadl_flax.pictures import pixels, shrink
from cadl_flax.regression import mae, mse
from cadl_flax.training import DEFAULT_OPTIMIZER, _by_name, count_programs, fit

PHOTO = shrink(data.astronaut(), 16)
X, Y = map(jnp.asarray, pixels(PHOTO))
KEY = jax.random.key(0)


def pickled(thing):
    "What comes back from `pickle`."
    return pickle.loads(pickle.dumps(thing))


WAYS = {"pickle": pickled, "deepcopy": copy.deepcopy, "copy": copy.copy}


def same(a, b):
    "Whether all arrays of two trees have the same bytes."
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(p).tobytes() == np.asarray(q).tobytes() for p, q in pairs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("network", ["half-grid", "siren", "fourier", "mlp"])
def test_a_painting_goes_on_as_if_it_had_not_been_away(network, way):
    options = dict(network=network, n_epochs=3, n_frames=2)
    stopped = next(paint_chunks(PHOTO, **options))
    again = paint(WAYS[way](stopped))
    assert again.run.epoch == 3
    assert again.render().tobytes() == paint(PHOTO, **options).render().tobytes()
    assert len(again.frames) == 2
    assert len(again.losses) == 3


def layers_of_flax(rngs):
    "A network that has nothing of ours."
    return nnx.Sequential(
        nnx.Linear(2, 8, rngs=rngs),
        nnx.tanh,
        nnx.Linear(8, 8, rngs=rngs),
        jax.nn.relu,
        nnx.Linear(8, 3, rngs=rngs),
    )


NETWORKS = {
    "mlp": lambda rngs: MLP(2, 3, width=8, activation=nnx.silu, rngs=rngs),
    "siren": lambda rngs: Siren(2, 3, width=8, rngs=rngs),
    "waves": lambda rngs: mlp_behind(FourierFeatures, width=8)(2, 3, rngs=rngs),
    "grid": lambda rngs: mlp_behind(HashGrid, width=8, finest=8)(2, 3, rngs=rngs),
    "flax": layers_of_flax,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_goes_on_to_the_same_bits_in_the_same_program(name, way):
    run = fit(NETWORKS[name](nnx.Rngs(0)), X, Y, key=KEY, loss=mae, n_epochs=1)
    whole = fit(run, X, Y, learning_rate=2e-3, n_epochs=2)
    programs = count_programs()
    again = fit(WAYS[way](run), X, Y, learning_rate=2e-3, n_epochs=2)
    assert same(again.state, whole.state)
    assert same(again.losses, whole.losses)
    assert count_programs() == programs
    assert again.optimizer is DEFAULT_OPTIMIZER
    assert again.loss is mae


@pytest.mark.parametrize(
    "activation",
    [
        jax.nn.relu,
        jax.nn.relu6,
        jax.nn.gelu,
        jax.nn.elu,
        jax.nn.leaky_relu,
        jax.nn.softplus,
        jax.nn.swish,
        jax.nn.sigmoid,
        jnp.tanh,
        jnp.sin,
        nnx.tanh,
    ],
    ids=lambda f: f.__name__,
)
def test_every_activation_comes_back_as_itself(activation):
    for way in WAYS.values():
        assert way(activation) is activation


def test_a_network_for_many_pictures_comes_back():
    model = ManyPictures(3, code_size=4, n_frequencies=4, width=8, rngs=nnx.Rngs(0))
    x = np.array([[1.0, 0.5, -0.5]], np.float32)
    for way in WAYS.values():
        assert same(way(model)(x), model(x))


@pytest.fixture
def probe():
    "A function of JAX that says it is `probe` of this module, where there is none."
    function = jax.custom_jvp(lambda x: x)
    function.__module__, function.__qualname__ = __name__, "probe"
    return function


def test_what_is_not_found_under_its_name_is_not_kept_by_it(probe):
    assert not isinstance(_by_name(probe), str)


def test_only_what_is_found_under_its_name_is_kept_by_it(probe, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "probe", probe)
    assert _by_name(probe) == "probe"
    assert pickled(probe) is probe


def test_what_a_script_defines_is_not_kept_by_its_name(probe, monkeypatch):
    "Another process may know nothing of it."
    monkeypatch.setattr(sys.modules["__main__"], "probe", probe, raising=False)
    probe.__module__ = "__main__"
    assert not isinstance(_by_name(probe), str)


def test_a_compiled_function_is_copied():
    assert copy.deepcopy(jax.jit(mse))(X, X + 1) == 1


@pytest.fixture(scope="module")
def run_of_optax():
    "A run with an optimizer that is not ours."
    model = MLP(2, 3, width=8, rngs=nnx.Rngs(0))
    return fit(model, X, Y, key=KEY, optimizer=optax.sgd(0.1), n_epochs=1)


def test_a_copy_of_a_run_with_an_optimizer_of_optax_goes_on(run_of_optax):
    again = fit(copy.deepcopy(run_of_optax), X, Y, n_epochs=1)
    assert same(again.state, fit(run_of_optax, X, Y, n_epochs=1).state)


def test_a_run_with_an_optimizer_of_optax_is_not_pickled(run_of_optax):
    with pytest.raises((AttributeError, pickle.PicklingError), match="init_fn"):
        pickle.dumps(run_of_optax)


def test_processes_that_were_spawned_hand_paintings_on():
    options = dict(n_epochs=3, network="mlp", n_frames=2)
    stopped = next(paint_chunks(PHOTO, **options))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        again = pool.submit(paint, stopped).result(timeout=100)
    whole = paint(PHOTO, **options)
    assert again.render().tobytes() == whole.render().tobytes()
    assert same(paint(again, n_epochs=1).run.state, paint(whole, n_epochs=1).run.state)
