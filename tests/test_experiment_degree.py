"The polynomials of page 03 in the browser, against NumPy."

import jax
import numpy as np
import pytest
from experiment_helpers import drag_by_touch, page_fixture, place
from numpy.polynomial import Chebyshev, Polynomial

from cadl_flax.regression import noisy_sine

NAME = "degree"
DEGREES = range(16)
X, Y = (np.ravel(a).astype(float) for a in noisy_sine(jax.random.key(0), 16))
TEST_X, TEST_Y = (np.ravel(a).astype(float) for a in noisy_sine(jax.random.key(1), 40))
GRID = np.linspace(-3, 3, 301)


tab = page_fixture("training_and_testing")


def ask(tab, expression, *arguments):
    return tab.evaluate(
        f"arguments => {{ const degree = kit.running.degree; return {expression}; }}", arguments
    )


def handle(tab, i):
    return place(tab, NAME).locator("[role=slider]").nth(i)


def slide(tab, degree):
    place(tab, NAME).locator("input").fill(str(degree))


def losses(y, test_y, fit=Polynomial.fit):
    "Of all degrees, fitted as on the page: on the observations, and on those of the test."
    fits = [fit(X, y, degree) for degree in DEGREES]
    return {
        "training": [np.mean((f(X) - y) ** 2) for f in fits],
        "test": [np.mean((f(TEST_X) - test_y) ** 2) for f in fits],
    }


@pytest.mark.parametrize("draw", range(3))
def test_polynomials_are_those_of_numpy(tab, draw):
    y = np.random.default_rng(draw).normal(size=16) if draw else Y
    for degree in DEGREES:
        theirs = ask(tab, "degree.curve(...arguments)", y.tolist(), degree, GRID.tolist())
        np.testing.assert_allclose(theirs, Chebyshev.fit(X, y, degree)(GRID), rtol=1e-8, atol=1e-8)


def test_losses_are_those_of_the_page(tab):
    theirs = ask(tab, "degree.loss")
    for name, expected in losses(Y, TEST_Y).items():
        np.testing.assert_allclose(theirs[name], expected, rtol=1e-7, atol=1e-9)
    slide(tab, 3)
    words = (
        f"Degree 3: training loss {theirs['training'][3]:.3f}, test loss {theirs['test'][3]:.3f}."
    )
    assert words in place(tab, NAME).inner_text()


def mulberry32(seed):
    "The generator of the kit: numbers from 0 to 1."

    def times(a, b):
        return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF) & 0xFFFFFFFF

    while True:
        seed = (seed + 0x6D2B79F5) & 0xFFFFFFFF
        t = times(seed ^ seed >> 15, 1 | seed)
        t = (t + times(t ^ t >> 7, 61 | t)) & 0xFFFFFFFF ^ t
        yield ((t ^ t >> 14) & 0xFFFFFFFF) / 2**32


def test_a_new_draw_has_new_noise_of_the_same_kind(tab):
    place(tab, NAME).get_by_role("button", name="New draw").click()
    uniform = mulberry32(1)
    noise = np.array([next(uniform) for _ in range(16 + 40)]) - 0.5
    y, test_y = np.sin(X) + noise[:16], np.sin(TEST_X) + noise[16:]
    np.testing.assert_allclose(ask(tab, "degree.y"), y, atol=1e-12)
    np.testing.assert_allclose(ask(tab, "degree.testY"), test_y, atol=1e-12)
    for name, expected in losses(y, test_y).items():
        np.testing.assert_allclose(ask(tab, "degree.loss")[name], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("degree", [0, 3, 12, 15])
def test_what_a_moved_observation_does(tab, degree):
    "Where it is, the curve goes along by its leverage, the diagonal of the hat matrix."
    slide(tab, degree)
    ask(tab, "degree.move(3, 0.5)")
    followed = ask(tab, "degree.followed(3)")
    columns = np.polynomial.chebyshev.chebvander(X / 3, degree)
    leverage = np.diag(columns @ np.linalg.pinv(columns))[3]
    moved = np.where(np.arange(16) == 3, 0.5, Y)
    change = Chebyshev.fit(X, moved, degree)(GRID) - Chebyshev.fit(X, Y, degree)(GRID)
    np.testing.assert_allclose(followed["point"], 0.5 - Y[3], atol=1e-9)
    np.testing.assert_allclose(followed["there"], leverage * (0.5 - Y[3]), atol=1e-8)
    np.testing.assert_allclose(followed["most"], abs(change).max(), rtol=1e-8)


def test_a_mouse_moves_an_observation_up_and_down_alone(tab):
    circle = handle(tab, 9)
    circle.scroll_into_view_if_needed()
    box = circle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y + 40)
    tab.mouse.up()
    now = np.array(ask(tab, "degree.y"))
    assert now[9] < Y[9] - 0.5
    np.testing.assert_allclose(np.delete(now, 9), np.delete(Y, 9))
    assert abs(handle(tab, 9).bounding_box()["x"] - box["x"]) < 0.5
    assert "One observation went −" in place(tab, NAME).inner_text()
    place(tab, NAME).get_by_role("button", name="Put the points back").click()
    np.testing.assert_allclose(ask(tab, "degree.y"), Y)


def test_a_finger_moves_an_observation(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/training_and_testing.html")
    drag_by_touch(tab, handle(tab, 5), 0, -50)
    now = np.array(ask(tab, "degree.y"))
    assert now[5] > Y[5] + 0.5
    np.testing.assert_allclose(np.delete(now, 5), np.delete(Y, 5))
    context.close()


def test_keys_go_from_one_observation_to_the_next(tab):
    "One of the sixteen is in the order of Tab; arrows to the side go on, up and down move it."
    handle(tab, 0).press("ArrowRight")
    handle(tab, 1).press("ArrowRight")
    tab.keyboard.press("ArrowUp")
    np.testing.assert_allclose(ask(tab, "degree.y")[2], Y[2] + 0.1, atol=1e-9)
    np.testing.assert_allclose(np.delete(ask(tab, "degree.y"), 2), np.delete(Y, 2))
    order = [handle(tab, i).get_attribute("tabindex") for i in range(16)]
    assert order == ["0" if i == 2 else "-1" for i in range(16)]


def test_a_press_among_the_losses_chooses_the_degree(tab):
    svg = place(tab, NAME).locator("svg").nth(1)
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    tab.mouse.click(box["x"] + 46 + (box["width"] - 58) * 7.6 / 16, box["y"] + 100)
    assert ask(tab, "degree.degree") == 7
    assert "Degree 7:" in place(tab, NAME).inner_text()
