"Homework is checked by what it does, a sweep is the loop, and many pictures fit into one network."
import itertools
import re
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from skimage import data

from cadl_flax.features import StandardScaler
from cadl_flax.gallery import ManyPictures, check, sweep
from cadl_flax.networks import MLP
from cadl_flax.pictures import coordinates, pixels, shrink
from cadl_flax.training import _epochs, fit

PHOTO = shrink(data.astronaut(), 24)
TALL = PHOTO[:, 5:14]
GRAY = PHOTO[:, 3:20, 0]
EXERCISES = ["layer", "network", "data", "loss", "step"]


def mlp(key=0, **settings): return MLP(2, 3, width=16, depth=2, rngs=nnx.Rngs(key), **settings)
def l1(p, t): return np.abs(p - t).sum(1).mean()
def l2(p, t): return jnp.mean(jnp.sum((p - t)**2, axis=-1))


def indices(image): return np.argwhere(np.ones(image.shape[:2])).astype(float)


def standardised(image):
    x = indices(image)
    return np.asarray(StandardScaler().fit(x).transform(x))


def globally(image):
    x = indices(image)
    return (x - x.mean())/x.std()


def table(image, x=None, y=None):
    places, colours = pixels(image)
    return places if x is None else x, colours if y is None else y


def sideways(image):
    "The places row by row, the colours column by column."
    x, y = pixels(image)
    return x, y.reshape(*image.shape[:2], -1).swapaxes(0, 1).reshape(y.shape)


def upside_down(image):
    x, y = pixels(image)
    return x*[-1, 1], y


SHUFFLED = np.random.default_rng(0).permutation(PHOTO.shape[0]*PHOTO.shape[1])

# exercise, wrong answer, the picture, a part of the message that no other mistake has
MISTAKES = {
    "no bend": ("layer", lambda x, W, b: x @ W + b, None, "bend is missing"),
    "no bias": ("layer", lambda x, W, b: np.maximum(x @ W, 0), None, "bias is missing"),
    "bias last": ("layer", lambda x, W, b: np.maximum(x @ W, 0) + b, None, "bias comes after the bend"),
    "layer turned": ("layer", lambda x, W, b: np.maximum(x @ W + b, 0).T, None, "layer returns shape (20, 5)"),
    "another bend": ("layer", lambda x, W, b: np.tanh(x @ W + b), None, "other numbers than relu"),
    "layer stops": ("layer", lambda x, W, b: W @ x + b, None, "the answer stops, given shapes [(5, 2), (2, 20), (20,)]"),
    "no activation": ("network", mlp(activation=None), None, "the network is affine"),
    "one colour": ("network", lambda x: np.ones((len(x), 3)), None, "the network is affine"),
    "network flat": ("network", lambda x: x[:, 0], None, "network returns shape (64,)"),
    "not a number": ("network", lambda x: np.full((len(x), 3), np.nan), None, "192 colours that are not finite"),
    "one mean, tall": ("data", table(TALL, globally(TALL)), TALL, "each needs a mean of its own"),
    "divided twice": ("data", table(PHOTO, y=pixels(PHOTO)[1]/255), PHOTO, "as if divided by 255 twice"),
    "divided twice, to -1": ("data", table(PHOTO, y=pixels(PHOTO)[1]/127.5 - 1), PHOTO, "all colours lie between -1 and"),
    "never divided": ("data", table(PHOTO, y=PHOTO.reshape(-1, 3)), PHOTO, "expected 0 to 1: divide by 255"),
    "flat targets": ("data", table(GRAY, y=pixels(GRAY)[1][:, 0]), GRAY, "the targets have shape (408,)"),
    "swapped, tall": ("data", (pixels(TALL)[0][:, ::-1], pixels(TALL)[1]), TALL, "rows and columns are swapped"),
    "another order": ("data", table(PHOTO, y=pixels(PHOTO)[1][SHUFFLED]), PHOTO, "list the pixels in different orders"),
    "not scaled": ("data", table(PHOTO, indices(PHOTO)), PHOTO, "the places go up to 23"),
    "places flat": ("data", table(PHOTO, pixels(PHOTO)[0][:, 0]), PHOTO, "the places have shape (576,)"),
    "mean over channels": ("loss", lambda p, t: np.mean((p - t)**2), None, "three equal channels cost 1.00 times one"),
    "no minus": ("loss", lambda p, t: l2(p, -t), None, "expected 0, so the minus is missing"),
    "signed": ("loss", lambda p, t: (p - t).sum(1).mean(), None, "so errors cancel"),
    "signed, other way": ("loss", lambda p, t: (t - p).sum(1).mean(), None, "so errors cancel"),
    "rewarded": ("loss", lambda p, t: -l2(p, t), None, "so errors cancel"),
    "no number": ("loss", lambda p, t: ((p - t)**2).sum(1), None, "the loss has shape (40,)"),
    "sum over pixels": ("loss", lambda p, t: ((p - t)**2).sum(), None, "the same pixels twice cost 2.00 times"),
    "errors cancel within a pixel": ("loss", lambda p, t: np.abs((p - t).sum(1)).mean(), None, "where absolute errors give"),
    "half of it": ("loss", lambda p, t: l2(p, t)/2, None, "where absolute errors give"),
    "the worst pixel": ("loss", lambda p, t: np.abs(p - t).sum(1).max(), None, "where absolute errors give"),
    "never zero": ("loss", lambda p, t: l2(p, t) + 1, None, "costs 1.0, expected 0:"),
    "no number anywhere": ("data", table(PHOTO, pixels(PHOTO)[0]*np.nan), PHOTO, "not finite numbers: see page 00"),
    "one place for all": ("data", table(PHOTO, pixels(PHOTO)[0]*0), PHOTO, "576 pixels have 1 places"),
    "rows for columns": ("data", table(PHOTO, pixels(PHOTO)[0][:, [0, 0]]), PHOTO, "so some share one"),
    "tiny places": ("data", table(PHOTO, pixels(PHOTO)[0]/1000), PHOTO, "expected about 1: bring them to one scale"),
    "begins at 0": ("data", table(PHOTO, (pixels(PHOTO)[0] - pixels(PHOTO)[0].min())/2), PHOTO, "the places begin at 0"),
    "uphill": ("step", lambda position, slope, learning_rate: position + learning_rate*slope, None, "leads to 2.3, uphill"),
    "no rate": ("step", lambda position, slope, learning_rate: position - slope, None, "the learning rate has no effect"),
    "the move": ("step", lambda position, slope, learning_rate: -learning_rate*slope, None, "returns the move"),
    "sign only": ("step", lambda position, slope, learning_rate: position - learning_rate*np.sign(slope), None, "leads to 1.9, expected 1.7"),
    "always up": ("step", lambda position, slope, learning_rate: position + 2*learning_rate, None, "leads to 2.2, expected 1.7"),
    "always down": ("step", lambda position, slope, learning_rate: position - learning_rate*abs(slope), None, "leads to 0.0, expected 2"),
}
SAME = {"half of it", "the worst pixel", "rows for columns", "tiny places", "one colour", "divided twice, to -1", "signed, other way", "rewarded", "always up"} # another way into a mistake that is there already


def message(name):
    exercise, answer, image, _ = MISTAKES[name]
    with pytest.raises(ValueError) as error: check(exercise, answer, image=image)
    return str(error.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    text = message(name)
    assert MISTAKES[name][3] in text
    assert re.search(r"see page 0[0-8]\b", text) or "the answer stops" in text


def test_every_mistake_has_its_own_message():
    texts = {name: message(name) for name in MISTAKES.keys() - SAME}
    for name in texts: assert [other for other in texts if MISTAKES[name][3] in texts[other]] == [name]


@pytest.mark.parametrize("image", [PHOTO, PHOTO[..., :1]], ids=lambda v: str(v.shape))
def test_more_ways_to_swap_and_to_mix(image):
    x, y = pixels(image)
    for answer in (sideways(image), (x[:, ::-1], y)):
        with pytest.raises(ValueError, match="swapped"): check("data", answer, image=image)
    with pytest.raises(ValueError, match="different orders"): check("data", upside_down(image), image=image)
    with pytest.raises(ValueError, match="own"): check("data", table(TALL.swapaxes(0, 1), globally(TALL.swapaxes(0, 1))), image=TALL.swapaxes(0, 1))


def in_place(p, t):
    p -= t
    p **= 2
    return p.sum(1).mean()


RIGHT = {
    "in place": ("loss", in_place),
    "layer numpy": ("layer", lambda x, W, b: np.maximum(x @ W + b, 0)),
    "layer jax": ("layer", lambda x, W, b: nnx.relu(jnp.asarray(x) @ W + b)),
    "layer by place": ("layer", lambda x, W, b: [[max(0, z) for z in (place[None] @ W + b)[0]] for place in x]),
    "layer jit": ("layer", jax.jit(lambda x, W, b: nnx.relu(x @ W + b))),
    "network": ("network", mlp()),
    "network tanh": ("network", mlp(activation=jnp.tanh)),
    "network homework": ("network", MLP(2, 3, width=20, depth=6, rngs=nnx.Rngs(1))),
    "network numpy": ("network", lambda x: np.sin(x @ np.ones((2, 3)))),
    "network large": ("network", lambda x: 255*np.maximum(x @ np.eye(2, 3) + .1, 0)),
    "loss l1": ("loss", l1),
    "loss l2": ("loss", l2),
    "loss jit": ("loss", jax.jit(l2)),
    "loss python": ("loss", lambda p, t: sum(sum(abs(a - b) for a, b in zip(*rows)) for rows in zip(p.tolist(), t.tolist()))/len(p)),
    "step": ("step", lambda position, slope, learning_rate: position - learning_rate*slope),
    "step jax": ("step", lambda position, slope, learning_rate: jnp.asarray(position) - jnp.asarray(slope)*learning_rate),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name):
    said = check(*RIGHT[name])
    assert said.endswith(".") and "\n" not in said and len(said.split()) > 4


@pytest.mark.parametrize("image", [PHOTO, TALL, TALL.swapaxes(0, 1), GRAY, PHOTO/255, PHOTO[..., :1], PHOTO.astype(np.uint16)*257], ids=lambda v: f"{v.shape}-{v.dtype}")
def test_right_data_passes(image):
    x, y = pixels(image)
    order = np.random.default_rng(1).permutation(len(x))
    for answer in ((x, y), (jnp.asarray(x), jnp.asarray(y)), (standardised(image), y), (x[order], y[order]), (x*1.2, y.tolist())):
        assert f"{len(x):,} pixels" in check("data", answer, image=image)


def test_on_a_square_one_mean_is_right(): check("data", table(PHOTO, globally(PHOTO)), image=PHOTO)


def test_an_unknown_exercise_lists_the_known_ones():
    with pytest.raises(ValueError, match=f"exercise='lair' is none of {', '.join(EXERCISES)}$"): check("lair", print)
    with pytest.raises(ValueError, match="image is missing"): check("data", pixels(PHOTO))


@pytest.mark.parametrize("exercise", ["layer", "network", "loss", "step"])
def test_what_is_no_function_is_refused(exercise):
    with pytest.raises(TypeError, match="answer is a list, expected a function"): check(exercise, [1, 2])


X, Y = pixels(PHOTO)
START = mlp()


def train(learning_rate, seed, n_epochs=3): return fit(START, X, Y, key=jax.random.key(seed), learning_rate=learning_rate, batch_size=64, n_epochs=n_epochs)


def test_a_sweep_is_the_loop_bit_for_bit():
    axes = dict(learning_rate=[1e-4, 1e-3, 1e-2], seed=[0, 1, 2, 3])
    swept, looped = sweep(train, **axes), [train(*setting) for setting in itertools.product(*axes.values())]
    assert isinstance(swept, list) and len(swept) == 12
    for a, b in zip(swept, looped):
        for u, v in zip(jax.tree.leaves(a.model), jax.tree.leaves(b.model), strict=True): np.testing.assert_array_equal(u, v)
        np.testing.assert_array_equal(a.losses, b.losses)
    assert len({float(run.losses[-1, -1]) for run in swept}) == 12


def test_a_sweep_compiles_once():
    before = _epochs._cache_size()
    sweep(train, learning_rate=[1e-4, 1e-3], seed=[0, 1, 2], n_epochs=[4])
    assert _epochs._cache_size() == before + 1
    sweep(train, learning_rate=[1e-2], seed=[5, 6], n_epochs=[5, 4])
    assert _epochs._cache_size() == before + 2


def test_the_first_runs_alone_and_then_several(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    running, most, events, lock = set(), [], [], threading.Lock()

    def watched(i):
        with lock:
            running.add(i)
            most.append(len(running))
            events.append((i, "begins"))
        time.sleep(.05)
        with lock:
            running.discard(i)
            events.append((i, "ends"))
        return i
    assert sweep(watched, i=range(7)) == list(range(7))
    assert events[:2] == [(0, "begins"), (0, "ends")] and max(most) == 3


def test_an_error_comes_out_of_a_sweep():
    with pytest.raises(ZeroDivisionError) as error: sweep(lambda a: 1/a, a=[2, 1, 0])
    assert error.value.__notes__ == ["in the run with {'a': 0}"]
    for axes, kind, text in (({}, ValueError, "axes are missing"), (dict(a=[]), ValueError, r"a=\[\] has no values"), (dict(a=[1], b=3.), TypeError, "b=3.0 is a float")):
        with pytest.raises(kind, match=text): sweep(print, **axes)


@pytest.mark.slow
def test_sixteen_runs_cost_at_most_ten():
    def one(learning_rate, seed): return jax.block_until_ready(train(learning_rate, seed, n_epochs=400))

    def least(f, n=5):
        times = []
        for _ in range(n):
            began = time.perf_counter()
            f()
            times.append(time.perf_counter() - began)
        return min(times)
    one(1e-3, 0)
    single, sixteen = least(lambda: one(1e-3, 0)), least(lambda: sweep(one, learning_rate=[1e-4, 1e-3, 1e-2, 1e-1], seed=[0, 1, 2, 3]))
    print(f"sixteen runs cost {sixteen/single:.1f} times one")
    assert sixteen <= 10*single


def pictures(n=3, **settings): return ManyPictures(n, code_size=5, n_frequencies=8, width=12, depth=2, rngs=nnx.Rngs(0), **settings)
def rows(number, x=X): return np.c_[np.full(len(x), number, np.float32), x]


@pytest.mark.parametrize("n, channels", [(1, 1), (3, 3), (4, 4)])
def test_a_picture_is_painted_by_its_code(n, channels):
    many = pictures(n, out_features=channels)
    for number in range(n):
        painted = many.paint(many.codes[number], 24, 24)
        assert painted.shape == (24, 24, channels)
        np.testing.assert_allclose(painted.reshape(-1, channels), np.clip(many(rows(number)), 0, 1), atol=1e-5)
    window = (-2, -1, 1, 3)
    there = np.clip(many(rows(n - 1, coordinates(6, 8, window=window))), 0, 1)
    np.testing.assert_allclose(many.paint(many.codes[n - 1], 6, 8, window=window).reshape(-1, channels), there, atol=1e-5)


def test_the_number_is_rounded():
    many = pictures()
    np.testing.assert_array_equal(many(rows(1.4)), many(rows(1)))
    assert (many(rows(1.6)) != many(rows(1))).any()


@pytest.mark.parametrize("number", [-1, 3, 99, float("nan"), float("inf")])
def test_a_picture_that_is_not_there(number):
    many = pictures()
    with pytest.raises(ValueError, match=f"picture {number}, but there are 3"): many(rows(number))
    assert np.isnan(jax.jit(lambda many, x: many(x))(many, rows(number))).all() # a program cannot raise, and must not paint another picture


def test_wrong_shapes_are_named():
    many = pictures()
    with pytest.raises(ValueError, match=r"x has shape \(576, 2\)"): many(X)
    with pytest.raises(ValueError, match=r"code has shape \(4,\), expected \(5,\)"): many.paint(np.zeros(4), 8, 8)
    for settings, text in ((dict(code_size=0), "code_size=0"), (dict(width=0), "width=0"), (dict(sigma=-1.), "sigma=-1"), (dict(n_frequencies=0), "n_frequencies=0")):
        with pytest.raises(ValueError, match=text): ManyPictures(3, rngs=nnx.Rngs(0), **settings)
    with pytest.raises(TypeError, match="n_pictures=2.5"): ManyPictures(2.5, rngs=nnx.Rngs(0))


def test_codes_are_trained_and_waves_are_not():
    many = pictures()
    x, y = np.concatenate([rows(number) for number in range(2)]), np.concatenate([Y, 1 - Y])
    run = fit(many, x, y, key=jax.random.key(0), learning_rate=5e-3, n_epochs=30)
    np.testing.assert_array_equal(run.model.waves.frequencies[...], many.waves.frequencies[...])
    assert (run.model.codes[:2] != many.codes[:2]).all() and (run.model.codes[2] == many.codes[2]).all()
    assert run.losses[-1].mean() < .3*run.losses[0].mean()
    middle = run.model.codes[:2].mean(0)
    assert np.isfinite(run.model.paint(middle, 8, 8)).all()


def test_many_pictures_are_their_formula():
    model = ManyPictures(3, rngs=nnx.Rngs(0))
    x = np.float32([[2, -.5, .25], [0, .75, -1], [1, .1, .9]])
    seen = np.concatenate([np.asarray(model.codes)[x[:, 0].astype(int)], model.waves(x[:, 1:])], axis=1) # row before column
    np.testing.assert_allclose(model(x), model.net(seen), atol=1e-6)
