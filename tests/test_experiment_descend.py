"The walk downhill of page 01 in the browser, against JAX and optax."

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from experiment_helpers import page_fixture, place

NAME = "descend"


def bumpy(p):
    return jnp.sin(10 * p) * jnp.exp(-p)


tab = page_fixture("gradient_descent")


RULES = {
    "plain": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": lambda rate: optax.adam(30 * rate),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rate", [0.0001, 0.001])
def test_walks_are_those_of_optax(tab, rule, rate):
    n_steps, start = 40, 0.206
    theirs = tab.evaluate(f"kit.running.descend.walk({start}, {rate}, '{rule}', {n_steps})")
    optimizer = RULES[rule](rate)
    p = jnp.float32(start)
    state, path = optimizer.init(p), [p]
    for _ in range(n_steps):
        change, state = optimizer.update(jax.grad(bumpy)(p), state)
        p = optax.apply_updates(p, change)
        path.append(p)
    np.testing.assert_allclose(theirs, path, atol=2e-5)


def test_the_slope_is_that_of_jax(tab):
    places = np.linspace(-1, 1, 21)
    theirs = tab.evaluate("p => p.map(kit.running.descend.slope)", places.tolist())
    np.testing.assert_allclose(theirs, jax.vmap(jax.grad(bumpy))(places), rtol=1e-4, atol=1e-4)


def test_a_mouse_drags_the_start(tab):
    svg = place(tab, NAME).locator("svg")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 100)
    tab.mouse.up()
    start = tab.evaluate("kit.running.descend.path[0]")
    assert -0.35 < start < -0.2
    assert "settled at −0.167" in place(tab, NAME).inner_text()


def test_a_rate_beyond_the_limit_never_settles(tab):
    rate = place(tab, NAME).locator("input").nth(1)
    rate.fill("-1.3")
    assert "still jumps" in place(tab, NAME).inner_text()


def test_a_finger_drags_the_start(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/gradient_descent.html")
    svg = place(tab, NAME).locator("svg")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    tab.touchscreen.tap(box["x"] + 0.9 * box["width"], box["y"] + 100)
    assert tab.evaluate("kit.running.descend.path[0]") > 0.7
    context.close()
