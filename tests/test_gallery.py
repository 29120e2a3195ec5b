"Homework is checked by what it does, a sweep is the loop, and many pictures fit into one network."

import itertools
import re
import threading
import time
from typing import NamedTuple

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
from cadl_flax.training import count_programs, fit

PHOTO = shrink(data.astronaut(), 24)
TALL = PHOTO[:, 5:14]
GRAY = PHOTO[:, 3:20, 0]
EXERCISES = ["layer", "network", "data", "loss", "step"]


def mlp(key=0, **settings):
    "A small network from places to colours."
    return MLP(2, 3, width=16, depth=2, rngs=nnx.Rngs(key), **settings)


def l1(p, t):
    "The absolute error, summed over channels."
    return np.abs(p - t).sum(1).mean()


def l2(p, t):
    "The squared error, summed over channels."
    return jnp.mean(jnp.sum((p - t) ** 2, axis=-1))


def indices(image):
    "The row and the column of each pixel."
    return np.argwhere(np.ones(image.shape[:2])).astype(float)


def standardised(image):
    "Rows and columns standardised, each by its own mean."
    x = indices(image)
    return np.asarray(StandardScaler().fit(x).transform(x))


def standardised_together(image):
    "Rows and columns standardised by one mean for both: a mistake, but on squares."
    x = indices(image)
    return (x - x.mean()) / x.std()


def table(image, x=None, y=None):
    "The table of pixels, with other places or colours if they are given."
    places, colours = pixels(image)
    return places if x is None else x, colours if y is None else y


def sideways(image):
    "The places row by row, the colours column by column."
    x, y = pixels(image)
    return x, y.reshape(*image.shape[:2], -1).swapaxes(0, 1).reshape(y.shape)


def upside_down(image):
    "The places from the last row to the first."
    x, y = pixels(image)
    return x * [-1, 1], y


class Mistake(NamedTuple):
    "A wrong answer to an exercise."

    exercise: str
    answer: object
    message: str  # a part of it that no other mistake has
    image: np.ndarray | None = None  # for the exercise on data


X, Y = pixels(PHOTO)
SHUFFLED = np.random.default_rng(0).permutation(len(X))
SWAPPED_TALL = table(TALL, x=pixels(TALL)[0][:, ::-1])
FROM_ZERO = (X - X.min()) / 2

LAYER_MISTAKES = {
    "no bend": (
        lambda x, W, b: x @ W + b,
        "bend is missing",
    ),
    "no bias": (
        lambda x, W, b: np.maximum(x @ W, 0),
        "bias is missing",
    ),
    "bias last": (
        lambda x, W, b: np.maximum(x @ W, 0) + b,
        "bias comes after the bend",
    ),
    "layer turned": (
        lambda x, W, b: np.maximum(x @ W + b, 0).T,
        "layer returns shape (20, 5)",
    ),
    "another bend": (
        lambda x, W, b: np.tanh(x @ W + b),
        "other numbers than relu",
    ),
    "layer stops": (
        lambda x, W, b: W @ x + b,
        "the answer stops, given shapes [(5, 2), (2, 20), (20,)]",
    ),
}
NETWORK_MISTAKES = {
    "no activation": (
        mlp(activation=None),
        "the network is affine",
    ),
    "one colour": (
        lambda x: np.ones((len(x), 3)),
        "the network is affine",
    ),
    "network flat": (
        lambda x: x[:, 0],
        "network returns shape (64,)",
    ),
    "not a number": (
        lambda x: np.full((len(x), 3), np.nan),
        "192 colours that are not finite",
    ),
}
LOSS_MISTAKES = {
    "mean over channels": (
        lambda p, t: np.mean((p - t) ** 2),
        "three equal channels cost 1.00 times one",
    ),
    "no minus": (
        lambda p, t: l2(p, -t),
        "expected 0, so the minus is missing",
    ),
    "signed": (
        lambda p, t: (p - t).sum(1).mean(),
        "so errors cancel",
    ),
    "signed, other way": (
        lambda p, t: (t - p).sum(1).mean(),
        "so errors cancel",
    ),
    "rewarded": (
        lambda p, t: -l2(p, t),
        "so errors cancel",
    ),
    "no number": (
        lambda p, t: ((p - t) ** 2).sum(1),
        "the loss has shape (40,)",
    ),
    "sum over pixels": (
        lambda p, t: ((p - t) ** 2).sum(),
        "the same pixels twice cost 2.00 times",
    ),
    "errors cancel within a pixel": (
        lambda p, t: np.abs((p - t).sum(1)).mean(),
        "where absolute errors give",
    ),
    "half of it": (
        lambda p, t: l2(p, t) / 2,
        "where absolute errors give",
    ),
    "the worst pixel": (
        lambda p, t: np.abs(p - t).sum(1).max(),
        "where absolute errors give",
    ),
    "never zero": (
        lambda p, t: l2(p, t) + 1,
        "costs 1.0, expected 0:",
    ),
}
STEP_MISTAKES = {
    "uphill": (
        lambda position, slope, learning_rate: position + learning_rate * slope,
        "leads to 2.3, uphill",
    ),
    "no rate": (
        lambda position, slope, learning_rate: position - slope,
        "the learning rate has no effect",
    ),
    "the move": (
        lambda position, slope, learning_rate: -learning_rate * slope,
        "returns the move",
    ),
    "sign only": (
        lambda position, slope, learning_rate: position - learning_rate * np.sign(slope),
        "leads to 1.9, expected 1.7",
    ),
    "always up": (
        lambda position, slope, learning_rate: position + 2 * learning_rate,
        "leads to 2.2, expected 1.7",
    ),
    "always down": (
        lambda position, slope, learning_rate: position - learning_rate * abs(slope),
        "leads to 0.0, expected 2",
    ),
}
# answer, message, picture
DATA_MISTAKES = {
    "one mean, tall": (
        table(TALL, x=standardised_together(TALL)),
        "each needs a mean of its own",
        TALL,
    ),
    "divided twice": (table(PHOTO, y=Y / 255), "as if divided by 255 twice", PHOTO),
    "divided twice, to -1": (
        table(PHOTO, y=Y / 127.5 - 1),
        "all colours lie between -1 and",
        PHOTO,
    ),
    "never divided": (
        table(PHOTO, y=PHOTO.reshape(-1, 3)),
        "expected 0 to 1: divide by 255",
        PHOTO,
    ),
    "flat targets": (
        table(GRAY, y=pixels(GRAY)[1][:, 0]),
        "the targets have shape (408,)",
        GRAY,
    ),
    "swapped, tall": (SWAPPED_TALL, "rows and columns are swapped", TALL),
    "another order": (table(PHOTO, y=Y[SHUFFLED]), "list the pixels in different orders", PHOTO),
    "not scaled": (table(PHOTO, x=indices(PHOTO)), "the places go up to 23", PHOTO),
    "places flat": (table(PHOTO, x=X[:, 0]), "the places have shape (576,)", PHOTO),
    "no number anywhere": (table(PHOTO, x=X * np.nan), "not finite numbers: see page 00", PHOTO),
    "one place for all": (table(PHOTO, x=X * 0), "576 pixels have 1 places", PHOTO),
    "rows for columns": (table(PHOTO, x=X[:, [0, 0]]), "so some share one", PHOTO),
    "tiny places": (table(PHOTO, x=X / 1000), "expected about 1: bring them to one scale", PHOTO),
    "begins at 0": (table(PHOTO, x=FROM_ZERO), "the places begin at 0", PHOTO),
}


def mistakes():
    "All mistakes by name."
    exercises = {
        "layer": LAYER_MISTAKES,
        "network": NETWORK_MISTAKES,
        "data": DATA_MISTAKES,
        "loss": LOSS_MISTAKES,
        "step": STEP_MISTAKES,
    }
    found = {}
    for exercise, entries in exercises.items():
        found |= {name: Mistake(exercise, *entry) for name, entry in entries.items()}
    return found


MISTAKES = mistakes()
# another way into a mistake that is there already
SAME = {
    "half of it",
    "the worst pixel",
    "rows for columns",
    "tiny places",
    "one colour",
    "divided twice, to -1",
    "signed, other way",
    "rewarded",
    "always up",
}

# exercise, wrong answer, the picture, a part of the message that no other mistake has


def message(name):
    "What is said of a mistake."
    mistake = MISTAKES[name]
    with pytest.raises(ValueError) as error:
        check(mistake.exercise, mistake.answer, image=mistake.image)
    return str(error.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    text = message(name)
    assert MISTAKES[name].message in text
    assert re.search(r"see page 0[0-8]\b", text) or "the answer stops" in text


def test_every_mistake_has_its_own_message():
    texts = {name: message(name) for name in MISTAKES.keys() - SAME}
    for name in texts:
        own = MISTAKES[name].message
        assert [other for other, text in texts.items() if own in text] == [name]


@pytest.mark.parametrize("image", [PHOTO, PHOTO[..., :1]], ids=["RGB", "one channel"])
def test_more_ways_to_swap_and_to_mix(image):
    x, y = pixels(image)
    for answer in (sideways(image), (x[:, ::-1], y)):
        with pytest.raises(ValueError, match="swapped"):
            check("data", answer, image=image)
    with pytest.raises(ValueError, match="different orders"):
        check("data", upside_down(image), image=image)


def test_one_mean_of_a_wide_picture_is_named():
    wide = TALL.swapaxes(0, 1)
    with pytest.raises(ValueError, match="own"):
        check("data", table(wide, x=standardised_together(wide)), image=wide)


def in_place(p, t):
    "The squared error, which writes over what it is given."
    p -= t
    p **= 2
    return p.sum(1).mean()


def layer_by_place(x, W, b):
    "A layer in plain Python: one place, one unit after the other."
    rows = []
    for place in x:
        sums = (place[None] @ W + b)[0]
        rows.append([max(0, number) for number in sums])
    return rows


def loss_by_pixel(p, t):
    "The absolute error in plain Python."
    total = 0
    for prediction, target in zip(p.tolist(), t.tolist()):
        total += sum(abs(a - b) for a, b in zip(prediction, target))
    return total / len(p)


def step(position, slope, learning_rate):
    "A step of gradient descent."
    return position - learning_rate * slope


def step_by_jax(position, slope, learning_rate):
    "The same step by arrays of JAX."
    return jnp.asarray(position) - jnp.asarray(slope) * learning_rate


RIGHT = {
    "in place": ("loss", in_place),
    "layer numpy": ("layer", lambda x, W, b: np.maximum(x @ W + b, 0)),
    "layer jax": ("layer", lambda x, W, b: nnx.relu(jnp.asarray(x) @ W + b)),
    "layer by place": ("layer", layer_by_place),
    "layer jit": ("layer", jax.jit(lambda x, W, b: nnx.relu(x @ W + b))),
    "network": ("network", mlp()),
    "network tanh": ("network", mlp(activation=jnp.tanh)),
    "network homework": ("network", MLP(2, 3, width=20, depth=6, rngs=nnx.Rngs(1))),
    "network numpy": ("network", lambda x: np.sin(x @ np.ones((2, 3)))),
    "network large": ("network", lambda x: 255 * np.maximum(x @ np.eye(2, 3) + 0.1, 0)),
    "loss l1": ("loss", l1),
    "loss l2": ("loss", l2),
    "loss jit": ("loss", jax.jit(l2)),
    "loss python": ("loss", loss_by_pixel),
    "step": ("step", step),
    "step jax": ("step", step_by_jax),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name):
    praise = check(*RIGHT[name])
    assert praise.endswith(".")
    assert "\n" not in praise
    assert len(praise.split()) > 4


IMAGES = {
    "square": PHOTO,
    "tall": TALL,
    "wide": TALL.swapaxes(0, 1),
    "gray": GRAY,
    "floats": PHOTO / 255,
    "one channel": PHOTO[..., :1],
    "16 bits": PHOTO.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_right_data_passes(image):
    x, y = pixels(image)
    order = np.random.default_rng(1).permutation(len(x))
    answers = [
        (x, y),
        (jnp.asarray(x), jnp.asarray(y)),
        (standardised(image), y),
        (x[order], y[order]),
        (x * 1.2, y.tolist()),
    ]
    for answer in answers:
        assert f"{len(x):,} pixels" in check("data", answer, image=image)


def test_on_a_square_one_mean_is_right():
    check("data", table(PHOTO, x=standardised_together(PHOTO)), image=PHOTO)


def test_an_unknown_exercise_lists_the_known_ones():
    with pytest.raises(ValueError, match=f"exercise='lair' is none of {', '.join(EXERCISES)}$"):
        check("lair", print)


def test_data_is_checked_against_its_picture():
    with pytest.raises(ValueError, match="image is missing"):
        check("data", pixels(PHOTO))


@pytest.mark.parametrize("exercise", ["layer", "network", "loss", "step"])
def test_what_is_no_function_is_refused(exercise):
    with pytest.raises(TypeError, match="answer is a list, expected a function"):
        check(exercise, [1, 2])


START = mlp()


def train(learning_rate, seed, n_epochs=3):
    "A short run from the same start."
    key, options = jax.random.key(seed), dict(batch_size=64, n_epochs=n_epochs)
    return fit(START, X, Y, key=key, learning_rate=learning_rate, **options)


def test_a_sweep_is_the_loop_bit_for_bit():
    axes = dict(learning_rate=[1e-4, 1e-3, 1e-2], seed=[0, 1, 2, 3])
    swept = sweep(train, **axes)
    looped = [train(*setting) for setting in itertools.product(*axes.values())]
    assert isinstance(swept, list)
    assert len(swept) == 12
    for a, b in zip(swept, looped):
        for u, v in zip(jax.tree.leaves(a.model), jax.tree.leaves(b.model), strict=True):
            np.testing.assert_array_equal(u, v)
        np.testing.assert_array_equal(a.losses, b.losses)
    assert len({float(run.losses[-1, -1]) for run in swept}) == 12


def test_a_sweep_compiles_once():
    before = count_programs()
    sweep(train, learning_rate=[1e-4, 1e-3], seed=[0, 1, 2], n_epochs=[4])
    assert count_programs() == before + 1
    sweep(train, learning_rate=[1e-2], seed=[5, 6], n_epochs=[5, 4])
    assert count_programs() == before + 2


def three():
    "In place of the number of processors."
    return 3


def test_the_first_runs_alone_and_then_several(monkeypatch):
    monkeypatch.setattr("os.cpu_count", three)
    running, n_running, events, lock = set(), [], [], threading.Lock()

    def watched(i):
        with lock:
            running.add(i)
            n_running.append(len(running))
            events.append((i, "begins"))
        time.sleep(0.05)
        with lock:
            running.discard(i)
            events.append((i, "ends"))
        return i

    assert sweep(watched, i=range(7)) == list(range(7))
    assert events[:2] == [(0, "begins"), (0, "ends")]
    assert max(n_running) == 3


def test_an_error_comes_out_of_a_sweep():
    with pytest.raises(ZeroDivisionError) as error:
        sweep(lambda a: 1 / a, a=[2, 1, 0])
    assert error.value.__notes__ == ["in the run with {'a': 0}"]


@pytest.mark.parametrize(
    "axes, kind, message",
    [
        ({}, ValueError, "axes are missing"),
        (dict(a=[]), ValueError, r"a=\[\] has no values"),
        (dict(a=[1], b=3.0), TypeError, "b=3.0 is a float"),
    ],
    ids=["no axes", "no values", "a number"],
)
def test_axes_that_are_none_are_named(axes, kind, message):
    with pytest.raises(kind, match=message):
        sweep(print, **axes)


def shortest_time(function, n=5):
    "The shortest of several times that a function takes, in seconds."
    times = []
    for _ in range(n):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


@pytest.mark.slow
def test_sixteen_runs_cost_at_most_ten():
    def run(learning_rate, seed):
        return jax.block_until_ready(train(learning_rate, seed, n_epochs=400))

    axes = dict(learning_rate=[1e-4, 1e-3, 1e-2, 1e-1], seed=[0, 1, 2, 3])
    run(1e-3, 0)  # compiles
    single = shortest_time(lambda: run(1e-3, 0))
    sixteen = shortest_time(lambda: sweep(run, **axes))
    print(f"sixteen runs cost {sixteen / single:.1f} times one")
    assert sixteen <= 10 * single


def pictures(n=3, **settings):
    "A small network for `n` pictures."
    settings = dict(code_size=5, n_frequencies=8, width=12, depth=2) | settings
    return ManyPictures(n, rngs=nnx.Rngs(0), **settings)


def rows(number, x=X):
    "The places of a picture, with its number in front."
    return np.c_[np.full(len(x), number, np.float32), x]


@pytest.mark.parametrize("n, channels", [(1, 1), (3, 3), (4, 4)])
def test_a_picture_is_painted_by_its_code(n, channels):
    many = pictures(n, out_features=channels)
    for number in range(n):
        painted = many.paint(many.codes[number], 24, 24)
        expected = np.clip(many(rows(number)), 0, 1)
        assert painted.shape == (24, 24, channels)
        np.testing.assert_allclose(painted.reshape(-1, channels), expected, atol=1e-5)


@pytest.mark.parametrize("n, channels", [(1, 1), (3, 3), (4, 4)])
def test_a_window_of_a_picture_is_painted_by_its_code(n, channels):
    many, window = pictures(n, out_features=channels), (-2, -1, 1, 3)
    painted = many.paint(many.codes[n - 1], 6, 8, window=window)
    expected = np.clip(many(rows(n - 1, coordinates(6, 8, window=window))), 0, 1)
    np.testing.assert_allclose(painted.reshape(-1, channels), expected, atol=1e-5)


def test_the_number_is_rounded():
    many = pictures()
    np.testing.assert_array_equal(many(rows(1.4)), many(rows(1)))
    assert (many(rows(1.6)) != many(rows(1))).any()


@pytest.mark.parametrize("number", [-1, 3, 99, float("nan"), float("inf")])
def test_a_picture_that_is_not_there(number):
    many = pictures()
    with pytest.raises(ValueError, match=f"picture {number}, but there are 3"):
        many(rows(number))
    # a compiled program cannot raise, and must not paint another picture
    compiled = jax.jit(lambda many, x: many(x))
    assert np.isnan(compiled(many, rows(number))).all()


def test_wrong_shapes_are_named():
    many = pictures()
    with pytest.raises(ValueError, match=r"x has shape \(576, 2\)"):
        many(X)
    with pytest.raises(ValueError, match=r"code has shape \(4,\), expected \(5,\)"):
        many.paint(np.zeros(4), 8, 8)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(code_size=0), "code_size=0"),
        (dict(width=0), "width=0"),
        (dict(sigma=-1.0), "sigma=-1"),
        (dict(n_frequencies=0), "n_frequencies=0"),
    ],
    ids=str,
)
def test_wrong_sizes_of_many_pictures_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ManyPictures(3, rngs=nnx.Rngs(0), **settings)


def test_half_a_picture_is_no_number_of_pictures():
    with pytest.raises(TypeError, match="n_pictures=2.5"):
        ManyPictures(2.5, rngs=nnx.Rngs(0))


def test_codes_are_trained_and_waves_are_not():
    many = pictures()
    x = np.concatenate([rows(0), rows(1)])
    y = np.concatenate([Y, 1 - Y])
    run = fit(many, x, y, key=jax.random.key(0), learning_rate=5e-3, n_epochs=30)
    model = run.model
    np.testing.assert_array_equal(model.waves.frequencies[...], many.waves.frequencies[...])
    assert (model.codes[:2] != many.codes[:2]).all()
    assert (model.codes[2] == many.codes[2]).all()
    assert run.losses[-1].mean() < 0.3 * run.losses[0].mean()
    between = model.codes[:2].mean(0)
    assert np.isfinite(model.paint(between, 8, 8)).all()


def test_many_pictures_are_their_formula():
    model = ManyPictures(3, rngs=nnx.Rngs(0))
    x = np.float32([[2, -0.5, 0.25], [0, 0.75, -1], [1, 0.1, 0.9]])  # number, row, column
    codes = np.asarray(model.codes)[x[:, 0].astype(int)]
    features = np.concatenate([codes, model.waves(x[:, 1:])], axis=1)
    np.testing.assert_allclose(model(x), model.net(features), atol=1e-6)
