"The toy of the live page: it learns, pauses, starts again, takes photos and says what is wrong."

import re

import numpy as np
import pytest
from experiment_helpers import page_fixture, place
from skimage.io import imread, imsave

from cadl_flax.pictures import psnr

NAME = "live"


tab = page_fixture("live")


def says(tab):
    return place(tab, NAME).locator(".experiment-says").first.inner_text()


def decibels(tab):
    "Of the pixels it sees, and of those it does not."
    return [float(n) for n in re.findall(r"([\d.]+) dB", says(tab))]


def press(tab, words):
    place(tab, NAME).get_by_role("button", name=words, exact=True).click()


def slide(tab, name, value):
    place(tab, NAME).get_by_label(name).fill(str(value))


def steps(tab):
    return tab.evaluate("kit.running.live.net.steps")


def wait_for_step(tab, step):
    tab.wait_for_function("n => kit.running.live.net.steps > n", arg=step, timeout=60_000)


def test_the_toy_comes_first(tab):
    "Both pictures and every control are on the first screen, before any code."
    tab.set_viewport_size(dict(width=1280, height=900))
    for element in place(tab, NAME).locator("canvas, button, select, input").all():
        box = element.bounding_box()
        assert box["y"] + box["height"] <= 900
    code = tab.locator("main pre:visible")
    assert code.count() == 0 or code.first.bounding_box()["y"] > 900


def test_nothing_is_said_of_what_was_not_computed(tab):
    assert says(tab).startswith("step – · loss – · ")
    assert steps(tab) == 0


def test_it_learns(tab):
    press(tab, "Start")
    wait_for_step(tab, 20)
    tab.wait_for_function("kit.running.live.loss < .02", timeout=60_000)
    press(tab, "Pause")
    seen, hidden = decibels(tab)
    assert seen > 14 and hidden > 14


def test_decibels_are_those_of_the_package(tab):
    picture = np.float32(tab.evaluate("[...kit.running.live.picture.colours]")).reshape(64, 64, 3)
    pixels = tab.evaluate("kit.running.live.pixels")
    assert len(pixels["seen"]) == round(0.8 * 64 * 64)
    assert sorted(pixels["seen"] + pixels["hidden"]) == list(range(64 * 64))
    press(tab, "Start")
    wait_for_step(tab, 5)
    press(tab, "Pause")
    answers = np.float32(tab.evaluate("[...kit.running.live.atPixels]")).reshape(64, 64, 3)
    for name, said in zip(("seen", "hidden"), decibels(tab), strict=True):
        mask = np.zeros(64 * 64, bool)
        mask[pixels[name]] = True
        theirs = psnr(np.clip(answers, 0, 1), picture, mask.reshape(64, 64))
        assert said == pytest.approx(theirs, abs=0.06)


def test_it_pauses(tab):
    press(tab, "Start")
    wait_for_step(tab, 0)
    press(tab, "Pause")
    paused = steps(tab)
    tab.wait_for_timeout(300)
    assert steps(tab) == paused
    press(tab, "Go on")
    wait_for_step(tab, paused)


def test_it_starts_anew_from_its_seed(tab):
    before = tab.evaluate("[...kit.running.live.atPixels]")
    press(tab, "Start")
    wait_for_step(tab, 0)
    press(tab, "Pause")
    press(tab, "Start anew")
    assert steps(tab) == 0
    assert tab.evaluate("[...kit.running.live.atPixels]") == before
    place(tab, NAME).get_by_label("seed").fill("7")
    place(tab, NAME).get_by_label("seed").press("Tab")
    assert tab.evaluate("[...kit.running.live.atPixels]") != before


@pytest.mark.parametrize("kind", ["waves", "places", "half-grid"])
def test_networks_are_made_as_the_controls_say(tab, kind):
    place(tab, NAME).get_by_role("combobox", name="network").select_option(kind)
    slide(tab, "width", 12)
    slide(tab, "depth", 2)
    shapes = tab.evaluate("kit.running.live.net.layers.map(l => [l.inputs, l.outputs])")
    first = {"waves": 64, "places": 2, "half-grid": 16}[kind]
    assert shapes == [[first, 12], [12, 12], [12, 3]]
    assert place(tab, NAME).get_by_label("sigma").is_disabled() == (kind != "waves")
    press(tab, "Start")
    wait_for_step(tab, 10)


def test_sigma_scales_the_waves(tab):
    waves = "Math.hypot(...kit.running.live.net.waves)"
    narrow = tab.evaluate(waves)
    slide(tab, "sigma", 3)
    assert tab.evaluate(waves) == pytest.approx(2 * narrow)


def test_it_says_when_training_diverges(tab):
    tab.evaluate("kit.running.live.net.layers[0].kernel.fill(NaN)")
    press(tab, "Start")
    tab.wait_for_function("Number.isNaN(kit.running.live.loss)")
    status = place(tab, NAME).locator(".experiment-says").first
    status.filter(has_text="diverged").wait_for(timeout=20_000)


def test_it_shows_a_function_and_not_squares(tab):
    learned = place(tab, NAME).locator("canvas").nth(1)
    assert learned.evaluate("c => [c.width, c.height]") == [192, 192]
    colours = tab.evaluate(
        """() => {
        const net = kit.running.live.net;
        return [...network.paint(net, 192, 192)];
        }"""
    )
    shown = learned.evaluate("c => [...c.getContext('2d').getImageData(0, 0, 192, 192).data]")
    shown = np.reshape(shown, (192, 192, 4))[..., :3]
    expected = np.clip(np.reshape(colours, (192, 192, 3)), 0, 1) * 255
    assert np.abs(shown - expected).max() <= 0.51


def test_it_saves_its_painting(tab):
    with tab.expect_download(timeout=60_000) as saved:
        press(tab, "Save as PNG")
    picture = imread(saved.value.path())
    assert picture.shape[:2] == (512, 512)
    assert picture[..., :3].std() > 5


def choose(tab, path):
    place(tab, NAME).locator("input[type=file]").set_input_files(path)


def photo(tmp_path, height=90, width=45):
    path = tmp_path / "photo.png"
    column = np.linspace(0, 255, height, dtype=np.uint8)
    imsave(path, np.tile(column[:, None, None], (1, width, 3)), check_contrast=False)
    return path


def wait_for_canvas(tab, width, height):
    canvas = f"document.querySelector('[data-experiment={NAME}] canvas')"
    tab.wait_for_function(f"{canvas}.width == {width} && {canvas}.height == {height}")


def test_it_takes_a_photo(tab, tmp_path):
    choose(tab, photo(tmp_path))
    wait_for_canvas(tab, 32, 64)
    learned = place(tab, NAME).locator("canvas").nth(1)
    assert learned.evaluate("c => [c.width, c.height]") == [96, 192]


def test_a_refusal_stays_until_the_next_picture(tab, tmp_path):
    (tmp_path / "words.png").write_text("not a picture")
    choose(tab, tmp_path / "words.png")
    refused = place(tab, NAME).get_by_text("words.png: this browser cannot read it as a picture")
    refused.wait_for()
    press(tab, "Start")
    wait_for_step(tab, 20)
    press(tab, "Start anew")
    assert refused.is_visible()
    choose(tab, photo(tmp_path))
    wait_for_canvas(tab, 32, 64)
    assert not refused.is_visible()


def test_a_cancelled_chooser_is_nothing(tab, tmp_path):
    choose(tab, photo(tmp_path, 40, 20))
    wait_for_canvas(tab, 32, 64)
    choose(tab, [])
    tab.wait_for_timeout(200)
    assert says(tab).startswith("step –")
    wait_for_canvas(tab, 32, 64)
