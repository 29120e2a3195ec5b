"Neurons of one input and their sum, on page 06 in the browser, against JAX."

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from experiment_helpers import page_fixture, place

NAME = "neurons"
BENDS = dict(tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, relu=jax.nn.relu, gelu=jax.nn.gelu)
BENDS |= dict(leaky_relu=jax.nn.leaky_relu, sin=jnp.sin, none=lambda x: x)


tab = page_fixture("activation_functions")


def own(tab, words):
    return tab.evaluate(f"kit.running.{NAME}.{words}")


def weights_and_biases(tab):
    found = own(tab, "neurons.map(({weight, bias, on}) => [weight, bias, on])")
    weights, biases, is_on = np.array(found, np.float32).T
    return weights, biases, is_on.astype(bool)


def distance(weights, biases, is_on, bend):
    "Of the sum of the neurons that are on from the sine, on average."
    x = jnp.linspace(-3, 3, 121)[:, None]
    drawn = (bend(x * weights + biases) * is_on).sum(1)
    return jnp.abs(drawn - jnp.sin(x[:, 0])).mean()


@pytest.mark.parametrize("name", BENDS)
def test_bends_and_their_slopes_are_those_of_jax(tab, name):
    x = np.linspace(-6, 6, 50)
    theirs = tab.evaluate(
        "([name, x]) => kit.running.neurons.bends[name].map(f => x.map(f))", [name, x.tolist()]
    )
    slopes = jax.vmap(jax.grad(BENDS[name]))(x)
    np.testing.assert_allclose(theirs, [BENDS[name](x), slopes], atol=1e-5)


def test_all_ten_draw_nearly_the_sine(tab):
    found = float(distance(*weights_and_biases(tab), jnp.tanh))
    assert own(tab, "distance()") == pytest.approx(found, abs=1e-5)
    assert found < 0.15
    assert f"10 neurons: off the sine by {found:.3f}" in place(tab, NAME).inner_text()


@pytest.mark.parametrize("bend", ["tanh", "gelu"])
def test_training_descends_as_jax_does(tab, bend):
    "Twenty steps by nine of the ten; the tenth stays as it is."
    place(tab, NAME).get_by_label("bend").select_option(bend)
    place(tab, NAME).get_by_label("neuron 4 in the sum").click()
    weights, biases, is_on = weights_and_biases(tab)
    assert is_on.tolist() == [True] * 3 + [False] + [True] * 6
    slope = jax.jit(jax.grad(lambda w, b: distance(w, b, is_on, BENDS[bend]), argnums=(0, 1)))
    for _ in range(20):
        changes = slope(weights, biases)
        weights, biases = (p - 0.02 * s for p, s in zip((weights, biases), changes))
    tab.evaluate("for (let i = 0; i < 20; i++) kit.running.neurons.descend()")
    theirs = weights_and_biases(tab)
    np.testing.assert_allclose(theirs[:2], [weights, biases], atol=1e-4)


def test_neurons_are_taken_away_and_put_back_by_keyboard(tab):
    button = place(tab, NAME).get_by_label("neuron 2 in the sum")
    button.focus()
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    found = distance(*weights_and_biases(tab), jnp.tanh)
    assert f"9 neurons: off the sine by {found:.3f}" in place(tab, NAME).inner_text()
    button.press("Enter")
    assert "10 neurons" in place(tab, NAME).inner_text()


def test_one_neuron_alone_is_a_bend_of_its_weight_and_bias(tab):
    place(tab, NAME).get_by_text("Only the chosen").click()
    place(tab, NAME).get_by_label("weight").fill("1.5")
    place(tab, NAME).get_by_label("bias").fill("-0.75")
    x = np.linspace(-6, 6, 50)
    theirs = tab.evaluate("x => x.map(kit.running.neurons.sum)", x.tolist())
    np.testing.assert_allclose(theirs, np.tanh(1.5 * x - 0.75), atol=1e-6)
    assert "1 neuron: off the sine" in place(tab, NAME).inner_text()


def test_a_mouse_drags_the_middle_of_a_bend(tab):
    "A neuron is in the middle of its bend where its sum is zero."
    svg = place(tab, NAME).locator("svg")
    svg.scroll_into_view_if_needed()
    place(tab, NAME).get_by_label("weight").fill("1.5")
    box = svg.bounding_box()
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 100)
    tab.mouse.up()
    weights, biases, _ = weights_and_biases(tab)
    assert 1 < -biases[0] / weights[0] < 2


def test_the_others_learn_to_take_over(tab):
    "Press Train; it stops by itself, nearer to the sine, and the button can be pressed again."
    place(tab, NAME).get_by_label("neuron 1 in the sum").click()
    before = own(tab, "distance()")
    place(tab, NAME).get_by_text("Train", exact=True).click()
    tab.wait_for_function("kit.running.neurons.distance() < .9 * " + str(before))
    pause = place(tab, NAME).get_by_text("Pause", exact=True)
    if pause.count():
        pause.click()
    place(tab, NAME).get_by_text("As the page trained them").click()
    assert own(tab, "distance()") < 0.15
