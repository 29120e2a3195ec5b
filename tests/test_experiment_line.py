"The line of page 02 in the browser: its costs, its descent and its best place, against JAX and NumPy."

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from experiment_helpers import drag_by_touch, page_fixture, place

from cadl_flax.descent import gradient_descent
from cadl_flax.regression import mae, mse, noisy_sine

NAME = "line"
LOSSES = {"mae": mae, "mse": mse}
X, Y = noisy_sine(jax.random.key(0))
every_loss = pytest.mark.parametrize("name", LOSSES)


def cost_of(name):
    return lambda line: LOSSES[name](line[0] * X + line[1], Y)


def lines():
    slopes, intercepts = np.meshgrid(np.linspace(-0.55, 0.85, 5), np.linspace(-0.7, 0.75, 5))
    return np.c_[slopes.ravel(), intercepts.ravel()]


tab = page_fixture("linear_regression")


def ask(tab, expression, *arguments):
    return tab.evaluate(
        f"arguments => {{ const line = kit.running.line; return {expression}; }}", arguments
    )


def said(tab):
    return place(tab, NAME).locator(".experiment-says").all_inner_texts()


def descend(tab, name, power):
    "Choose a cost and the power of ten of the learning rate, and press the button."
    place(tab, NAME).locator("select").select_option(name)
    place(tab, NAME).locator("input").fill(str(power))
    assert ask(tab, "line.path.length") == 0
    place(tab, NAME).get_by_role("button", name="Let it descend").click()
    place(tab, NAME).get_by_role("button", name="Let it descend").wait_for()
    return ask(tab, "line.path")


@every_loss
def test_costs_and_gradients_are_those_of_jax(tab, name):
    asked = lines()
    costs = ask(tab, "arguments[1].map(at => line.cost(arguments[0], at))", name, asked.tolist())
    gradients = ask(
        tab, "arguments[1].map(at => line.gradient(arguments[0], at))", name, asked.tolist()
    )
    np.testing.assert_allclose(costs, jax.vmap(cost_of(name))(asked), rtol=1e-5)
    np.testing.assert_allclose(gradients, jax.vmap(jax.grad(cost_of(name)))(asked), atol=2e-5)
    of_sine = ask(tab, "line.costOfSine(arguments[0])", name)
    np.testing.assert_allclose(of_sine, LOSSES[name](jnp.sin(X), Y), rtol=1e-5)


def test_the_best_line_for_squares_is_that_of_least_squares(tab):
    best = tab.evaluate("kit.data.line.best")
    exact = np.linalg.lstsq(np.c_[X, np.ones(len(X))], Y, rcond=None)[0][:, 0]
    np.testing.assert_allclose(best["mse"], exact, atol=1e-5)


@every_loss
def test_no_line_near_the_best_one_is_better(tab, name):
    best = np.array(tab.evaluate("kit.data.line.best")[name])
    around = best + 0.02 * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, 1]])
    costs = ask(tab, "arguments[1].map(at => line.cost(arguments[0], at))", name, around.tolist())
    assert np.argmin(costs) == 0


@every_loss
def test_lines_on_a_contour_cost_the_same(tab, name):
    level = 1.3 * ask(tab, "line.cost(arguments[0], kit.data.line.best[arguments[0]])", name)
    found = np.array(ask(tab, "line.contour(arguments[0], arguments[1])", name, level))
    np.testing.assert_allclose(jax.vmap(cost_of(name))(found), level, atol=2e-3)


def test_descent_is_that_of_the_page(tab):
    start = tab.evaluate("kit.data.line.start")
    expected = gradient_descent(cost_of("mae"), jnp.array(start), learning_rate=0.01, n_steps=500)
    np.testing.assert_allclose(descend(tab, "mae", -2), expected, atol=2e-4)
    assert "by descent 0.4170 (step 500), best line 0.4170" in said(tab)[1]


def test_descent_on_squares_is_that_of_optax(tab):
    theirs = descend(tab, "mse", -1.5)
    optimizer = optax.sgd(10**-1.5)
    line = jnp.array(theirs[0])
    state, path = optimizer.init(line), [line]
    for _ in range(500):
        change, state = optimizer.update(jax.grad(cost_of("mse"))(line), state)
        line = optax.apply_updates(line, change)
        path.append(line)
    np.testing.assert_allclose(theirs, path, atol=1e-5)


def test_a_rate_beyond_the_limit_leaves_the_map(tab):
    "The cost of squares is most curved along the slope, by twice the mean of x squared."
    limit = 2 / (2 * float(jnp.mean(X**2)))
    power = -0.45
    assert 10**power > limit
    path = descend(tab, "mse", power)
    assert len(path) < 20 and "off the map at step" in said(tab)[1]
    jumps = np.abs(np.diff(np.array(path)[:, 0]))
    assert (np.diff(jumps) > 0).all()


def test_a_mouse_moves_the_line_and_the_hand_is_remembered(tab):
    shift = place(tab, NAME).locator("[role=slider]").first
    shift.scroll_into_view_if_needed()
    before, box = ask(tab, "line.line"), shift.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y - 20)
    tab.mouse.up()
    slope, intercept = ask(tab, "line.line")
    assert slope == before[0] and intercept > before[1] + 0.2
    lowest = ask(tab, "line.byHand.mae")
    np.testing.assert_allclose(lowest, cost_of("mae")([slope, intercept]), rtol=1e-5)
    place(tab, NAME).get_by_role("button", name="Reset").click()
    assert ask(tab, "line.line") == before and "by hand –" in said(tab)[1]


def test_keys_move_each_handle(tab):
    shift, turn, on_map = place(tab, NAME).locator("[role=slider]").all()
    start = ask(tab, "line.line")
    shift.press("ArrowUp")
    turn.press("ArrowUp")
    np.testing.assert_allclose(ask(tab, "line.line"), np.add(start, 0.02), atol=1e-9)
    on_map.press("ArrowLeft")
    on_map.press("ArrowDown")
    np.testing.assert_allclose(ask(tab, "line.line"), start, atol=1e-9)


def test_a_finger_moves_the_line_on_the_map(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/linear_regression.html")
    start = ask(tab, "line.line")
    drag_by_touch(tab, place(tab, NAME).locator("[role=slider]").nth(2), -60, -40)
    slope, intercept = ask(tab, "line.line")
    assert slope < start[0] - 0.1 and intercept > start[1] + 0.1
    context.close()


def test_nothing_moves_before_a_press(tab):
    place(tab, NAME).scroll_into_view_if_needed()
    before = ask(tab, "line.line")
    tab.wait_for_timeout(300)
    assert ask(tab, "line.line") == before and ask(tab, "line.path") == []
