"The random waves of page 05 in the browser, against the package and optax."

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from experiment_helpers import astronaut, page_fixture, place
from flax import nnx

from cadl_flax.features import FourierFeatures
from cadl_flax.pictures import pixels, psnr
from cadl_flax.regression import mse, noisy_sine
from cadl_flax.training import fit

NAME = "waves"


tab = page_fixture("input_representation")


@pytest.fixture(scope="module", name="image")
def small_picture():
    return astronaut()


def learned(tab, name, sigma, n, draw=0):
    script = f"w => Array.from(w.learned(w.{name}, {sigma}, {n}, {draw}))"
    return np.array(tab.evaluate(f"({script})(kit.running.waves)"))


def is_seen(tab, name):
    return np.array(tab.evaluate(f"Array.from(kit.running.waves.{name}.isSeen)"), bool)


def drawn(tab, name, draw=0):
    "The frequencies, and the weights at the start."
    given = tab.evaluate(f"kit.data.waves.{name}.draws[{draw}]")
    inputs = 1 if name == "sine" else 2
    outputs = 1 if name == "sine" else 3
    return np.reshape(given["frequencies"], (inputs, -1)), np.reshape(
        given["weights"], (-1, outputs)
    )


def sliders(tab):
    return place(tab, NAME).locator("input[type=range]").all()


def test_the_data_are_those_of_the_page(tab, image):
    seen = np.flatnonzero(is_seen(tab, "sine"))
    assert (seen == np.sort(np.random.default_rng(0).permutation(1000)[:20])).all()
    x, y = noisy_sine(jax.random.key(0))
    places = tab.evaluate("Array.from(kit.running.waves.sine.places)")
    np.testing.assert_allclose(places, x[:, 0], atol=1e-6)
    np.testing.assert_allclose(tab.evaluate("kit.data.waves.sine.y"), y[:, 0], atol=1e-4)
    assert is_seen(tab, "astronaut").sum() == 1024
    places, colours = pixels(image)
    for name, ours in (("places", places), ("targets", colours)):
        theirs = tab.evaluate(f"Array.from(kit.running.waves.astronaut.{name})")
        np.testing.assert_allclose(theirs, ours.ravel(), atol=1e-6)


def test_the_waves_are_those_of_the_package(tab, image):
    places, _ = pixels(image)
    encode = FourierFeatures(2, 128, sigma=2.0, rngs=nnx.Rngs(0))
    table = tab.evaluate(
        """() => {
          const {columns, astronaut} = kit.running.waves;
          const table = columns(astronaut, astronaut.draws[0].frequencies, 2, 128);
          return Array.from(table.subarray(0, 500 * 257));
        }"""
    )
    table = np.reshape(table, (500, 257))
    np.testing.assert_allclose(table[:, :-1], encode(places[:500]), atol=5e-3)
    assert (table[:, -1] == 1).all()


@pytest.mark.parametrize("draw", [0, 1])
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
def test_curves_are_those_of_the_page(tab, sigma, draw):
    "Of `learned` on page 05, whose numbers here are rounded to four digits."
    x, y = noisy_sine(jax.random.key(0))
    seen = np.random.default_rng(0).permutation(1000)[:20]
    key = jax.random.split(jax.random.key(1), 5)[draw]
    encode = FourierFeatures(1, 32, sigma=sigma, rngs=nnx.Rngs(key))
    model = nnx.Sequential(encode, nnx.Linear(64, 1, rngs=nnx.Rngs(key)))
    run = fit(model, x[seen], y[seen], key=key, learning_rate=0.02, n_epochs=500)
    np.testing.assert_allclose(learned(tab, "sine", sigma, 32, draw), run.model(x)[:, 0], atol=0.01)


@jax.jit
def by_optax(table, targets, rows, kernel):
    "320 steps of Adam at 0.003, each on all rows, from this kernel and biases of 0."
    optimizer = optax.adam(0.003)

    def cost(weights):
        return mse(table[rows] @ weights[0] + weights[1], targets[rows])

    def step(carried, _):
        weights, memory = carried
        changes, memory = optimizer.update(jax.grad(cost)(weights), memory)
        return (optax.apply_updates(weights, changes), memory), None

    weights = kernel, jnp.zeros(targets.shape[1])
    (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), length=320)
    return table @ weights[0] + weights[1]


@pytest.mark.parametrize("sigma", [0.5, 2, 8])
@pytest.mark.parametrize("n", [16, 128])
def test_paintings_are_those_of_optax(tab, image, sigma, n):
    places, colours = pixels(image)
    frequencies, kernel = drawn(tab, "astronaut")
    angles = 2 * np.pi * places @ (sigma * frequencies[:, :n])
    table = jnp.array(np.c_[np.sin(angles), np.cos(angles)])
    kernel = np.sqrt(128 / n) * np.r_[kernel[:n], kernel[128 : 128 + n]]
    rows = np.flatnonzero(is_seen(tab, "astronaut"))
    ours = by_optax(table, colours, rows, jnp.array(kernel, jnp.float32))
    theirs = learned(tab, "astronaut", sigma, n).reshape(-1, 3)
    np.testing.assert_allclose(theirs, ours, atol=2e-3)


def test_scores_are_those_of_the_package(tab, image):
    painted = learned(tab, "astronaut", 0.5, 128).clip(0, 1).reshape(64, 64, 3)
    mask = is_seen(tab, "astronaut").reshape(64, 64)
    scores = [psnr(painted, image, mask=m) for m in (mask, ~mask)]
    assert f"seen {scores[0]:.1f} dB, held out {scores[1]:.1f} dB" in place(tab, NAME).inner_text()
    y = np.array(tab.evaluate("kit.data.waves.sine.y"))
    squares = (learned(tab, "sine", 0.5, 32) - y) ** 2
    seen = is_seen(tab, "sine")
    words = f"seen {squares[seen].mean():.3f}, held out {squares[~seen].mean():.3f}"
    assert words in place(tab, NAME).inner_text()


def both_scores(tab):
    "As they are shown: of the sine, and of the astronaut; seen, and held out."
    text = place(tab, NAME).inner_text()
    sine = re.search(r"error: seen ([\d.]+), held out ([\d.]+)", text).groups()
    astronaut = re.search(r"seen ([\d.]+) dB, held out ([\d.]+) dB", text).groups()
    return [[float(number) for number in pair] for pair in (sine, astronaut)]


def test_the_keys_find_which_sigma_is_right_for_each(tab):
    sigma = sliders(tab)[0]
    sigmas = tab.evaluate("kit.running.waves.SIGMAS")
    sigma.press("Home")
    found = [both_scores(tab)]
    for _ in sigmas[1:]:
        sigma.press("ArrowRight")
        found.append(both_scores(tab))
    sine, astronaut = np.moveaxis(np.array(found), 1, 0)
    assert sigmas[sine[:, 1].argmin()] == 0.1
    assert sigmas[astronaut[:, 1].argmax()] == 2
    assert sine[-1, 0] < 0.01 and sine[-1, 1] > 0.5  # every dot is met, and nothing between them
    assert astronaut[-1, 0] - astronaut[-1, 1] > 1.5  # noise between the given pixels
    dots = place(tab, NAME).locator("svg").nth(1).locator("circle.model")
    assert dots.count() == len(sigmas)


def test_fewer_waves_paint_less(tab):
    sliders(tab)[0].fill("7")
    many = both_scores(tab)
    sliders(tab)[2].fill("4")
    fewer = both_scores(tab)
    assert fewer[0] == many[0] and max(fewer[1]) < min(many[1]) - 2
    sliders(tab)[1].fill("2")
    assert both_scores(tab)[0] != many[0] and both_scores(tab)[1] == fewer[1]


def test_a_mouse_drags_sigma(tab):
    sigma = sliders(tab)[0]
    sigma.scroll_into_view_if_needed()
    box = sigma.bounding_box()
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + box["width"] * 0.5, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] - 2, middle, steps=3)
    tab.mouse.up()
    assert sigma.get_attribute("aria-valuetext") == "16"
    assert both_scores(tab)[1][1] < 11


def test_a_finger_sets_sigma(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/input_representation.html")
    before = both_scores(tab)
    sigma = sliders(tab)[0]
    box = sigma.bounding_box()
    sigma.tap(position=dict(x=box["width"] - 4, y=box["height"] / 2))
    assert both_scores(tab) != before
    context.close()
