"Looking between the pixels: where the view is after a mouse, a key, two fingers, and another file."

import numpy as np
import pytest
from experiment_helpers import open_page, place
from skimage import data

from cadl_flax import paint
from cadl_flax.pictures import psnr, render, shrink
from cadl_flax.tracking import save

NAME = "look"


@pytest.fixture
def tab(browser, built):
    tab, noise = open_page(browser, built, "live")
    canvas(tab).scroll_into_view_if_needed()
    yield tab
    assert noise == []
    tab.context.close()


def canvas(tab):
    return place(tab, NAME).locator("canvas")


def view(tab):
    return tab.evaluate("kit.running.look.view")


def press(tab, words):
    place(tab, NAME).get_by_role("button", name=words, exact=True).click()


def under(tab, x, y):
    "The place under a point of the canvas, of which (0, 0) and (1, 1) are corners."
    top, left, bottom, right = tab.evaluate("kit.running.look.window")
    return top + y * (bottom - top), left + x * (right - left)


def test_it_is_the_painting_of_the_package_to_a_tenth_of_a_decibel(tab):
    photo = shrink(data.astronaut(), 256)
    painted = tab.evaluate("[...network.paint(kit.running.look.net, 256, 256)]")
    assert psnr(np.clip(np.float32(painted), 0, 1).reshape(256, 256, 3), photo) > 38


def test_it_begins_at_the_eye(tab):
    assert view(tab) == {"row": -0.602, "col": -0.21, "zoom": 8}
    assert "8.0 ×" in place(tab, NAME).inner_text()


def test_buttons_zoom(tab):
    press(tab, "Closer")
    assert view(tab)["zoom"] == pytest.approx(12)
    press(tab, "Further")
    press(tab, "Further")
    assert view(tab)["zoom"] == pytest.approx(8 / 1.5)
    press(tab, "All")
    assert view(tab) == {"row": 0, "col": 0, "zoom": 1}


def test_keys_move_and_zoom(tab):
    canvas(tab).focus()
    before = view(tab)
    for key, name, sign in [
        ("ArrowDown", "row", 1),
        ("ArrowUp", "row", -1),
        ("ArrowRight", "col", 1),
        ("ArrowLeft", "col", -1),
        ("+", "zoom", 1),
        ("-", "zoom", -1),
    ]:
        here = view(tab)[name]
        tab.keyboard.press(key)
        assert sign * (view(tab)[name] - here) > 0.01
    after = view(tab)
    assert [after[k] for k in before] == pytest.approx([before[k] for k in before], abs=0.01)


def test_a_mouse_drags_the_picture_along(tab):
    box = canvas(tab).bounding_box()
    at = under(tab, 0.5, 0.5)
    tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"], steps=4)
    tab.mouse.up()
    assert under(tab, 0.7, 0.4) == pytest.approx(at, abs=0.003)


def test_the_place_under_the_pointer_stays(tab):
    box = canvas(tab).bounding_box()
    at = under(tab, 0.3, 0.6)
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"])
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -100)
    tab.keyboard.up("Control")
    tab.wait_for_function("kit.running.look.view.zoom > 10")
    assert under(tab, 0.3, 0.6) == pytest.approx(at, abs=0.003)


def test_a_wheel_alone_scrolls_the_page(tab):
    canvas(tab).hover()
    tab.mouse.wheel(0, 50)
    tab.wait_for_timeout(100)
    assert view(tab)["zoom"] == 8


FINGER = """(canvas, [type, id, x, y]) => {
    const box = canvas.getBoundingClientRect();
    const [clientX, clientY] = [box.left + x * box.width, box.top + y * box.height];
    canvas.setPointerCapture = () => {}; // there is no finger that could be captured
    canvas.dispatchEvent(new PointerEvent(type, {pointerId: id, clientX, clientY, pointerType: "touch"}));
}"""


def test_two_fingers_pinch(tab):
    def finger(*how):
        canvas(tab).evaluate(FINGER, list(how))

    press(tab, "All")
    press(tab, "Closer")
    press(tab, "Closer")
    at = under(tab, 0.5, 0.4)
    finger("pointerdown", 1, 0.45, 0.4)
    finger("pointerdown", 2, 0.55, 0.4)
    finger("pointermove", 1, 0.4, 0.4)
    finger("pointermove", 2, 0.6, 0.4)
    assert view(tab)["zoom"] == pytest.approx(2 * 1.5**2, rel=1e-3)
    assert under(tab, 0.5, 0.4) == pytest.approx(at, abs=0.005)
    finger("pointerup", 1, 0.4, 0.4)
    finger("pointermove", 2, 0.7, 0.4)
    assert under(tab, 0.6, 0.4) == pytest.approx(at, abs=0.2)
    assert view(tab)["zoom"] == pytest.approx(2 * 1.5**2, rel=1e-3)


def test_the_view_stays_inside_the_painting(tab):
    canvas(tab).focus()
    for _ in range(60):
        tab.keyboard.press("ArrowUp")
    assert tab.evaluate("kit.running.look.window")[0] == pytest.approx(-1)


def choose(tab, path):
    place(tab, NAME).locator("input[type=file]").set_input_files(path)


def test_a_painting_from_the_disk_opens(tab, tmp_path):
    painting = paint(shrink(data.chelsea(), 48), n_epochs=3)
    save(painting, tmp_path / "painting.safetensors")
    choose(tab, tmp_path / "painting.safetensors")
    tab.wait_for_function("kit.running.look.view.zoom == 1")
    h, w = painting.image.shape[:2]
    ours = tab.evaluate(f"[...network.paint(kit.running.look.net, {h}, {w})]")
    theirs = render(painting.run.model, h, w).ravel()  # at the centres of pixels
    np.testing.assert_allclose(np.clip(ours, 0, 1), theirs, atol=1e-3)
    shape = canvas(tab).evaluate("c => [c.height, c.width]")
    assert shape[0] / shape[1] == pytest.approx(h / w, abs=0.01)


def test_other_files_are_refused_until_a_painting_comes(tab, tmp_path):
    (tmp_path / "words.safetensors").write_text("no painting at all")
    choose(tab, tmp_path / "words.safetensors")
    refused = place(tab, NAME).get_by_text("words.safetensors: this is no safetensors file")
    refused.wait_for()
    press(tab, "Closer")
    assert refused.is_visible()
    save(paint(np.zeros((8, 8, 3), np.uint8), n_epochs=1), tmp_path / "good.safetensors")
    choose(tab, tmp_path / "good.safetensors")
    tab.wait_for_function("kit.running.look.view.zoom == 1")
    assert not refused.is_visible()
