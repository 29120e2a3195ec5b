"The bends of the gallery in the browser, against the functions of its own cells."

import jax.numpy as jnp
import numpy as np
import pytest
from experiment_helpers import open_page, place
from site_helpers import NBS, cells

from cadl_flax.pictures import coordinates

NAME = "warp"
SIZE = 30


@pytest.fixture
def tab(browser, built):
    tab, noise = open_page(browser, built, "gallery")
    place(tab, NAME).scroll_into_view_if_needed()
    yield tab
    assert noise == []
    tab.context.close()


def bends():
    "The functions of the page."
    [source] = [s for s, _ in cells(NBS / "gallery.ipynb") if "\ndef swirl" in s]
    names = dict(jnp=jnp, np=np)
    exec(source, names)
    return names


def bent_here(*functions):
    "The places that these functions make of those of a small picture."
    x = coordinates(SIZE, SIZE)
    z = x[:, 1] + 1j * x[:, 0]
    for function in functions:
        z = function(z)
    return np.stack([np.imag(z), np.real(z)], axis=1)


def bent_there(tab, turn, sectors):
    script = f"[...kit.running.warp.bend(network.places({SIZE}, {SIZE}), {turn}, {sectors})]"
    return np.reshape(tab.evaluate(script), (-1, 2))


def test_places_are_bent_as_on_the_page(tab):
    page = bends()
    swirl, kaleidoscope = page["swirl"], page["kaleidoscope"]
    for turn, sectors, functions in [
        (0, 0, []),
        (3, 0, [swirl]),
        (0, 6, [kaleidoscope]),
        (3, 6, [kaleidoscope, swirl]),
    ]:
        ours = bent_there(tab, turn, sectors)
        np.testing.assert_allclose(ours, bent_here(*functions), atol=2e-6)


def test_a_kaleidoscope_does_not_notice_a_turn_by_a_sector(tab):
    places = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    script = "([p, n]) => [...kit.running.warp.bend(new Float32Array(p.flat()), 2, n)]"
    for sectors in (1, 5, 8):
        c, s = np.cos(2 * np.pi / sectors), np.sin(2 * np.pi / sectors)
        turned = places @ [[c, -s], [s, c]]
        one, other = (tab.evaluate(script, [p.tolist(), sectors]) for p in (places, turned))
        np.testing.assert_allclose(one, other, atol=1e-5)


def colours(tab):
    "What is shown once the last pass has come."
    tab.wait_for_timeout(1500)
    return np.float32(tab.evaluate("[...kit.running.warp.colours]"))


def test_sliders_bend_the_picture_and_more_pixels_are_more_of_the_same(tab):
    warp = place(tab, NAME)
    warp.get_by_role("combobox", name="pixels").select_option("96")
    warp.get_by_role("combobox", name="painting").select_option("cat")
    warp.get_by_label("swirl").fill("-4")
    warp.get_by_label("kaleidoscope").fill("5")
    asked = "kit.running.warp.bend(network.places(96, 96), -4, 5)"
    expected = tab.evaluate(f"[...network.colours(kit.running.warp.paintings.cat, {asked})]")
    np.testing.assert_allclose(colours(tab), expected, atol=1e-6)
    warp.get_by_role("combobox", name="pixels").select_option("384")
    shown = warp.locator("canvas").evaluate("c => [c.width, c.height]")
    assert shown == [384, 384]
