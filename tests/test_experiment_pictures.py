"The neurons of a network that paints, on page 06 in the browser, against the package."

import jax
import numpy as np
import pytest
from experiment_helpers import astronaut, page_fixture, place, put, unpack
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.pictures import pixels, psnr
from cadl_flax.training import fit

NAME = "pictures"


tab = page_fixture("activation_functions")


@pytest.fixture(scope="module", name="picture")
def small_picture():
    return astronaut()


@pytest.fixture
def painter(tab):
    "The network that the page gives to the browser."
    model = MLP(2, 3, width=64, depth=3, rngs=nnx.Rngs(0))
    put(model, unpack(tab.evaluate(f"kit.data.{NAME}.weights")))
    return model


def decibels(model, picture, off=()):
    "Of what `model` paints without the neurons `off`, (layer, number) from 0."
    answers = pixels(picture)[0]
    for i, layer in enumerate(model.hidden):
        answers = np.array(layer(answers))
        answers[:, [j for of, j in off if of == i]] = 0
    painting = np.clip(model.out(answers), 0, 1).reshape(picture.shape)
    return psnr(painting, picture)


def found(tab):
    return tab.evaluate(f"kit.running.{NAME}.decibels")


def test_every_neuron_answers_as_the_package_does(tab, painter, picture):
    places, _ = pixels(picture)
    some = np.random.default_rng(0).choice(4096, 50, replace=False)
    answers = places[some]
    for i, layer in enumerate([*painter.hidden, painter.out]):
        answers = layer(answers)
        theirs = tab.evaluate(
            """([i, n, some]) => some.map(p =>
                [...kit.running.pictures.whole[i].slice(p * n, (p + 1) * n)])""",
            [i, answers.shape[1], some.tolist()],
        )
        np.testing.assert_allclose(theirs, answers, atol=1e-4)


def test_the_small_pictures_are_those_of_the_neurons(tab, painter, picture):
    "From black to white as Matplotlib draws a grey picture, to one of the 255 steps."
    answers = np.asarray(painter.hidden[0](pixels(picture)[0]))[:, 6]
    place(tab, NAME).locator("select").select_option(index=0)
    theirs = (
        place(tab, NAME)
        .locator(".pictures-grid canvas")
        .nth(6)
        .evaluate("c => [...c.getContext('2d').getImageData(0, 0, 64, 64).data]")
    )
    greys = 255 * (answers - answers.min()) / np.ptp(answers)
    np.testing.assert_allclose(np.reshape(theirs, (4096, 4))[:, 0], greys, atol=1)


def test_whole_numbers_cost_a_quarter_of_a_decibel_at_most(painter, picture):
    "Training may end elsewhere on another processor, by some tenths."
    places, colours = pixels(picture)
    model = MLP(2, 3, width=64, depth=3, rngs=nnx.Rngs(0))
    options = dict(learning_rate=0.005, batch_size=256, n_epochs=100)
    exact = fit(model, places, colours, key=jax.random.key(1), **options).model
    assert decibels(painter, picture) == pytest.approx(decibels(exact, picture), abs=0.5)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_neuron_that_is_off_costs_what_numpy_says(tab, painter, picture, layer):
    assert found(tab) == pytest.approx(decibels(painter, picture), abs=0.01)
    place(tab, NAME).locator("select").select_option(index=layer)
    off = []
    for j in (5, 22, 40):
        button = place(tab, NAME).get_by_label(f"neuron {j}", exact=True)
        button.focus()
        button.press("Space")
        off.append((layer, j - 1))
        assert found(tab) == pytest.approx(decibels(painter, picture, off), abs=0.01)
    lost = decibels(painter, picture) - found(tab)
    assert (
        f"without 3 neurons: {lost:.1f} dB lost".replace("-", "−") in place(tab, NAME).inner_text()
    )


def test_a_layer_is_switched_off_and_built_again(tab, painter, picture):
    place(tab, NAME).get_by_text("All off").click()
    off = [(2, j) for j in range(64)]
    assert found(tab) == pytest.approx(decibels(painter, picture, off), abs=0.01)
    place(tab, NAME).get_by_label("neuron 9", exact=True).click()
    off.remove((2, 8))
    assert found(tab) == pytest.approx(decibels(painter, picture, off), abs=0.01)
    place(tab, NAME).get_by_text("All on").click()
    assert "with all 192 neurons" in place(tab, NAME).inner_text()


def test_a_finger_switches_a_neuron_off(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/activation_functions.html")
    button = place(tab, NAME).get_by_label("neuron 3", exact=True)
    button.tap()
    assert button.get_attribute("aria-pressed") == "false"
    assert "without neuron 3 of layer 3" in place(tab, NAME).inner_text()
    context.close()
