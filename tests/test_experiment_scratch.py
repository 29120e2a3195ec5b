"The photo to scratch on page 12 in the browser: what it computes, against `inpaint`, and its controls."

import base64
import functools
import io
import re

import numpy as np
import pytest
from experiment_helpers import open_page, place
from flax import nnx
from PIL import Image
from scipy import ndimage
from scipy.sparse.linalg import spsolve
from skimage import data, draw

from cadl_flax import inpaint
from cadl_flax.correcting import (
    Corrector,
    bend,
    bending_matrix,
    continue_waves,
    fit_plane,
    network_inputs,
    sheet,
    stretch,
    stretching_matrix,
    wave_errors,
)
from cadl_flax.inpainting import _corrected, _fill, _held_in_holes
from cadl_flax.pictures import psnr

NAME = "scratch"
PORTRAIT = data.astronaut()[:256, 96:352]
PATIENCE = 180_000  # milliseconds, for a machine with other things to do


@pytest.fixture(scope="module")
def tab(browser, built):
    "The page; a test that draws on the photo begins by starting anew."
    tab, noise = open_page(browser, built, "inpainting")
    tab.set_default_timeout(PATIENCE)
    yield tab
    assert noise == []
    tab.context.close()


# ------------------------------------------------------------------------------ numbers


def sent(array):
    "An array as base64, for the page to decode."
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def received(text, dtype, shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


# in the page: channels and pixels from base64, and channels to it
HELPERS = """
const doubles = text => new Float64Array(kit.bytes(text).buffer);
const encoded = array => {
    let text = "";
    for (const byte of new Uint8Array(array.buffer)) text += String.fromCharCode(byte);
    return btoa(text);
};
"""


def ask(tab, expression, *args):
    return tab.evaluate(f"args => {{ {HELPERS} return {expression} }}", args)


def channels_of(values):
    return [sent(np.float64(values[..., c])) for c in range(values.shape[-1])]


def picture_of(channels, shape):
    return np.stack([received(c, np.float64, shape) for c in channels], -1)


def mend(tab, photo, mask):
    "A photo filled in the page: by the sheet alone, and by sheet and network."
    filled = ask(
        tab,
        """(() => {
            const [photo, mask] = args.slice(0, 2).map(kit.bytes);
            const {layers} = kit.running.scratch;
            const {alone, mended} = mend.finish(mend.inpaint(photo, mask, args[2], args[3], layers));
            return [alone, mended].map(encoded);
        })()""",
        sent(photo),
        sent(np.uint8(mask)),
        *mask.shape,
    )
    return [received(bytes_, np.uint8, photo.shape) for bytes_ in filled]


@functools.cache
def inpainted(name):
    return inpaint(*CASES[name])


def scratches(shape, seed):
    "Three curves from side to side, five pixels wide."
    rng, mask = np.random.default_rng(seed), np.zeros(shape, bool)
    for _ in range(3):
        (a, b, c), (_, e, _) = (rng.integers(n, size=3) for n in shape)
        i, j = draw.bezier_curve(a, 0, b, e, c, shape[1] - 1, weight=1)
        mask[i.clip(0, shape[0] - 1), j.clip(0, shape[1] - 1)] = True
    return ndimage.binary_dilation(mask, iterations=2)


def written(shape):
    "Rows of a letter whose strokes are three pixels wide."
    letter = np.zeros((16, 12), bool)
    letter[2:14, 2:11] = True
    letter[5:11, 5:8] = False
    return np.tile(letter, (16, 22))[: shape[0], : shape[1]]


def rectangle(shape, top, bottom, left, right):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


ODD = PORTRAIT[:151, :127]
UNLIKE = np.dstack([PORTRAIT[..., 0], PORTRAIT[::-1, :, 1], PORTRAIT[:, ::-1, 2]])
TALL = np.tile(data.coffee()[:, 300:360], (2, 1, 1))[:530]
EDGE = np.uint8(np.where(np.indices((90, 96))[1] < 50, 60, 200))[..., None].repeat(3, -1)
RIDGE = np.full((90, 96, 3), 40, np.uint8)  # higher under the hole than it is seen to be nearby
RIDGE[:, 38:48], RIDGE[:, 39:47] = 70, 134
RIDGE[:, 76:86] = 255
TILES = np.sin(0.9 * np.indices((96, 90))[0]) + np.sin(0.5 * np.indices((96, 90))[1])
TILES = np.uint8(128 + 60 * np.sign(TILES))[..., None].repeat(3, -1)
CASES = {
    "scratches": (PORTRAIT, scratches((256, 256), 0)),
    "text": (PORTRAIT, written((256, 256))),
    "a large hole": (PORTRAIT, rectangle((256, 256), 90, 150, 100, 160)),
    "odd sides, at the border": (
        ODD,
        scratches((151, 127), 3) | rectangle((151, 127), 0, 5, 40, 127),
    ),
    "larger than a block": (data.astronaut()[:333, :401], scratches((333, 401), 5)),
    "more than the network takes at once": (TALL, scratches((530, 60), 6)),
    "smaller than a window": (PORTRAIT[100:141, 90:106], scratches((41, 16), 6)),
    "a hole held in the range around it": (
        RIDGE,
        rectangle((90, 96), 20, 70, 40, 46) | rectangle((90, 96), 40, 50, 80, 82),
    ),
    "a wide hole beside an edge": (EDGE, rectangle((90, 96), 30, 60, 40, 62)),
    "a hole in a pattern": (TILES, rectangle((96, 90), 40, 54, 38, 51)),
    "channels that are three pictures": (UNLIKE, scratches((256, 256), 7)),
    "a few pixels known": (PORTRAIT, ~rectangle((256, 256), 100, 103, 60, 64)),
    "one colour": (np.full((40, 50, 3), 77, np.uint8), scratches((40, 50), 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_photo_is_mended_as_by_inpaint(tab, name):
    "To a grey level on average, and to a seventh of a decibel; weights of 8 bits are all that differs."
    photo, mask = CASES[name]
    _, mended = mend(tab, photo, mask)
    wanted = inpainted(name)
    assert np.array_equal(mended[~mask], photo[~mask])
    assert abs(np.float64(mended) - wanted)[mask].mean() <= 0.25
    if np.ptp(photo):
        ours, theirs = (psnr(picture / 255, photo / 255, mask) for picture in (mended, wanted))
        assert abs(ours - theirs) < 0.15


@pytest.mark.parametrize("name", ["scratches", "a large hole", "larger than a block"])
def test_the_sheet_alone_is_that_of_the_package(tab, name):
    photo, mask = CASES[name]
    start = np.where(mask[..., None], 0, photo / 255)
    theirs, pull_of_theirs = _fill(start, mask)
    filled, pull = surfaces(
        tab, "sheet.fill", channels_of(start), mask, np.zeros(mask.shape, bool), mask.shape
    )
    np.testing.assert_allclose(filled, theirs, atol=1e-4)
    np.testing.assert_allclose(pull, pull_of_theirs, atol=1e-4)
    assert abs(pull_of_theirs).max() > 0.05
    alone, _ = mend(tab, photo, mask)
    assert abs(alone / 255 - theirs.clip(0, 1))[mask].mean() < 0.01


def surfaces(tab, function, channels, *pixels_and_shape):
    "Fill and pull from a function of the page."
    *pixels, shape = pixels_and_shape
    found = ask(
        tab,
        f"""(() => {{
            const [channels, pixels] = [args[0].map(doubles), args[1].map(kit.bytes)];
            const {{filled, pull}} = mend.finish({function}(channels, ...pixels, ...args[2]));
            return [filled, pull].map(surface => surface.map(encoded));
        }})()""",
        channels,
        [sent(np.uint8(p)) for p in pixels],
        shape,
    )
    return [picture_of(surface, shape) for surface in found]


def solved(matrix, values, missing):
    "The missing pixels by SciPy's solver, so that an energy is least."
    flat = missing.ravel()
    rows = matrix[flat]
    pinned = np.where(flat[:, None], 0, values.reshape(flat.size, -1))
    surface = values.copy()
    surface[missing] = spsolve(rows[:, flat].tocsc(), -(rows @ pinned)).reshape(flat.sum(), -1)
    return surface


def in_page(tab, function, values, missing):
    "What a function of the page makes of missing pixels, which hold zeros."
    h, w = missing.shape
    filled = ask(
        tab,
        f"mend.finish({function}(args[0].map(doubles), kit.bytes(args[1]), args[2], args[3])).map(encoded)",
        channels_of(np.where(missing[..., None], 0, values)),
        sent(np.uint8(missing)),
        h,
        w,
    )
    return picture_of(filled, (h, w))


@pytest.mark.parametrize("h, w", [(24, 31), (2, 9), (17, 3)])
def test_the_sheet_solves_its_equations(tab, h, w):
    "Against SciPy's solver, and down to pictures that are hardly any."
    rng = np.random.default_rng(0)
    values, missing = rng.random((h, w, 2)), rng.random((h, w)) < 0.5
    plane = fit_plane(values, ~missing)
    bent = plane + solved(bending_matrix(h, w), values - plane, missing)
    np.testing.assert_allclose(in_page(tab, "sheet.bend", values, missing), bent, atol=1e-5)
    np.testing.assert_allclose(bend(values, missing), bent, atol=1e-8)
    stretched = plane + solved(stretching_matrix(h, w), values - plane, missing)
    np.testing.assert_allclose(in_page(tab, "sheet.stretch", values, missing), stretched, atol=1e-5)
    np.testing.assert_allclose(stretch(values, missing), stretched, atol=1e-8)


def test_the_sheet_bends_at_the_edge_of_a_hole_and_stretches_inside(tab):
    "Holes in the middle and at the border, which does not count as known."
    values = np.random.default_rng(0).random((30, 41, 2))
    missing = rectangle((30, 41), 8, 19, 10, 22) | rectangle((30, 41), 0, 6, 30, 41)
    start = np.where(missing[..., None], 0, values)
    filled, pull = surfaces(tab, "sheet.sheet", channels_of(start), missing, missing.shape)
    theirs, pull_of_theirs = sheet(values, missing)
    np.testing.assert_allclose(filled, theirs, atol=1e-4)
    np.testing.assert_allclose(pull, pull_of_theirs, atol=1e-4)
    inner = rectangle((30, 41), 9, 18, 11, 21) | rectangle((30, 41), 0, 5, 31, 41)
    assert (pull[~inner] == 0).all() and (abs(pull[inner]) > 1e-4).all()


@pytest.mark.parametrize("h, w", [(64, 80), (51, 67)])
def test_waves_go_on_as_in_the_package(tab, h, w):
    "In holes in the middle and at the border, beside narrow ones and pixels that are not seen."
    fill = PORTRAIT[30 : 30 + h, 60 : 60 + w] / 255
    mask = scratches((h, w), 2) | rectangle((h, w), 20, 40, 20, 45) | rectangle((h, w), 0, 9, 5, 14)
    seen = ~mask
    seen[:, 46:52] = False
    pixels = [sent(np.uint8(mask)), sent(np.uint8(seen))]

    def by(name):
        call = f"lift.{name}(args[0].map(doubles), ...args[1].map(kit.bytes), ...args[2])"
        found = ask(tab, f"mend.finish({call}).map(encoded)", channels_of(fill), pixels, (h, w))
        return picture_of(found, (h, w))

    theirs, errors = continue_waves(fill, mask, seen), wave_errors(fill, mask, seen)
    assert abs(theirs).max() > 0.2 and errors.any(-1).mean() > 0.02
    np.testing.assert_allclose(by("continueWaves"), theirs, atol=1e-3)
    np.testing.assert_allclose(by("waveErrors"), errors, atol=1e-3)


@pytest.mark.parametrize("share", [0, 0.4, 1])
def test_a_wide_hole_is_held_in_the_range_around_it(tab, share):
    "Two wide holes of three; one at the border, with nothing seen around it, stays as it is."
    values = np.random.default_rng(0).random((40, 60, 2))
    wide = rectangle((40, 60), 8, 15, 8, 20) | rectangle((40, 60), 22, 36, 30, 42)
    missing = wide | rectangle((40, 60), 4, 8, 50, 53) | rectangle((40, 60), 34, 40, 0, 5)
    values[missing] = 3 * values[missing] - 1
    seen = ~missing
    seen[24:, :20] = False
    nearby = np.full(missing.shape, float(share))
    theirs = _held_in_holes(values, missing, seen, nearby)
    held = ask(
        tab,
        """(() => {
            const [[missing, seen], [h, w]] = [args[1].map(kit.bytes), args[3]];
            const holes = mend.wideHoles(missing, seen, h, w);
            return mend.heldInHoles(args[0].map(doubles), holes, doubles(args[2])).map(encoded);
        })()""",
        channels_of(values),
        [sent(np.uint8(pixels)) for pixels in (missing, seen)],
        sent(nearby),
        missing.shape,
    )
    held = picture_of(held, missing.shape)
    np.testing.assert_allclose(held, theirs, atol=1e-12)
    changed = (held != values).any(-1)
    assert changed[wide].mean() > 0.5 and not changed[~wide].any()


def weights_in_page(tab):
    "The weights that the page has, by their names in the package."
    weights = {}
    for layer, sent_ in tab.evaluate("kit.data.scratch.layers").items():
        scales, biases = (received(sent_[key], np.float32, -1) for key in ("scales", "biases"))
        numbers = received(sent_["numbers"], np.int8, (-1, len(scales)))
        weights[f"model.{layer}.kernel"] = numbers * scales
        weights[f"model.{layer}.bias"] = biases
    shapes = {name: array.shape for name, array in named_weights(Corrector(rngs=nnx.Rngs(0)))}
    assert set(shapes) == set(weights)
    return {name: array.reshape(shapes[name]) for name, array in weights.items()}


def named_weights(network):
    for path, variable in nnx.to_flat_state(nnx.state(network)):
        yield ".".join(["model", *map(str, path)]), variable.get_value()


@pytest.mark.parametrize("h, w", [(64, 80), (51, 67), (61, 53)])
def test_the_network_is_that_of_the_package(tab, h, w):
    "Also where squares of 2, 4 or 8 pixels go on beyond the border."
    photo = np.float32(PORTRAIT[30 : 30 + h, 60 : 60 + w] / 255)
    mask = scratches((h, w), 2) | rectangle((h, w), 20, 32, h - 25, h - 12)
    fill, pull = (np.float32(a) for a in _fill(np.where(mask[..., None], 0, photo), mask))
    lift = continue_waves(fill, mask)
    assert lift.any()
    weights = weights_in_page(tab)
    theirs = _corrected(weights, fill, pull, mask) - fill
    added = ask(
        tab,
        """(() => {
            const [mask, [h, w]] = [kit.bytes(args[3]), args[4]];
            const looks = mend.networkInputs(...args.slice(0, 3).map(a => a.map(doubles)), mask, h, w);
            const {layers} = kit.running.scratch;
            return mend.finish(mend.correction(looks, mask, layers, h, w)).map(encoded);
        })()""",
        *(channels_of(values) for values in (fill, pull, lift)),
        sent(np.uint8(mask)),
        (h, w),
    )
    np.testing.assert_allclose(picture_of(added, (h, w))[mask], theirs[mask], atol=2e-5)
    assert abs(theirs[mask]).max() > 0.05


@pytest.mark.parametrize("h, w", [(64, 80), (20, 12)])
def test_detail_and_contrast_are_those_of_the_package(tab, h, w):
    "Inside a wide hole no known pixel tells the contrast; the wider window reaches over both borders."
    photo = PORTRAIT[30 : 30 + h, 60 : 60 + w] / 255
    mask = rectangle((h, w), 4, h - 4, 3, w - 30 if w > 60 else 9)
    fill, pull = _fill(np.where(mask[..., None], 0, photo), mask)
    lift = continue_waves(fill, mask)
    seen, detail, contrast = network_inputs(fill, pull, lift, mask)
    found = ask(
        tab,
        """(() => {
            const [mask, [h, w]] = [kit.bytes(args[3]), args[4]];
            const looks = mend.networkInputs(...args.slice(0, 3).map(a => a.map(doubles)), mask, h, w);
            return [looks.guide, looks.pulled, looks.lifted, looks.contrast, ...looks.detail].map(encoded);
        })()""",
        *(channels_of(values) for values in (fill, pull, lift)),
        sent(np.uint8(mask)),
        (h, w),
    )
    theirs = np.dstack([seen[..., 0], seen[..., 2], seen[..., 3], contrast, detail])
    np.testing.assert_allclose(picture_of(found, (h, w)), theirs, atol=1e-5)


def test_three_scratches_take_two_seconds(tab):
    "Of the processor, at most. The page's own clock counts other programs as well."
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", dict(timeDomain="threadTicks"))

    def used():
        found = session.send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in found if m["name"] == "TaskDuration")

    before = used()
    mend(tab, *CASES["scratches"])
    assert used() - before < 2


# ------------------------------------------------------------------------------ hands


def press(tab, name):
    place(tab, NAME).get_by_role("button", name=name).click()


def wait(tab):
    "Until it is mended; what is said then."
    tab.wait_for_function("!kit.running.scratch.working")
    return said(tab)


def said(tab):
    return place(tab, NAME).locator(".experiment-says").inner_text()


def missing(tab):
    photo = tab.evaluate("(({h, w}) => [h, w])(kit.running.scratch.photo)")
    pixels = ask(tab, "encoded(kit.running.scratch.missing)")
    return received(pixels, np.uint8, photo) == 1


def shown(tab):
    "The colours on the canvas."
    address = place(tab, NAME).locator(".scratch-photo").evaluate("canvas => canvas.toDataURL()")
    file = io.BytesIO(base64.b64decode(address.split(",")[1]))
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture
def photo(tab):
    "The astronaut without a scratch."
    again = place(tab, NAME).get_by_role("button", name="The astronaut again")
    if again.is_visible():
        again.click()
    press(tab, "Start anew")
    assert np.array_equal(shown(tab), PORTRAIT)
    return tab


def drag(tab, start, end):
    "Draw a line, from and to parts of the canvas; what the canvas shows before the pen is lifted."
    canvas = place(tab, NAME).locator(".scratch-photo")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"], box["y"]
    tab.mouse.move(x + start[0] * box["width"], y + start[1] * box["height"])
    tab.mouse.down()
    tab.mouse.move(x + end[0] * box["width"], y + end[1] * box["height"], steps=5)
    drawn = shown(tab)
    tab.mouse.up()
    return drawn


def test_a_mouse_draws_and_the_photo_is_mended(photo):
    drawn = drag(photo, (0.25, 0.5), (0.75, 0.5))
    words = wait(photo)
    mask = missing(photo)
    rows, columns = np.nonzero(mask)
    assert 4 <= np.ptp(rows) + 1 <= 6 and 126 <= np.ptp(columns) + 1 <= 135
    assert (drawn[mask] == [255, 0, 255]).all()
    assert np.array_equal(drawn[~mask], PORTRAIT[~mask])
    wanted = inpaint(PORTRAIT, mask)
    assert abs(np.float64(shown(photo)) - wanted)[mask].mean() < 0.1
    decibels = psnr(wanted / 255, PORTRAIT / 255, mask)
    assert f"{mask.sum():,} pixels were missing" in words
    alone, both = (float(x) for x in re.findall(r"([\d.]+) dB", words))
    assert abs(both - decibels) < 0.1 and alone < both + 1
    assert "smear" not in words


def test_strokes_add_up(photo):
    drag(photo, (0.1, 0.1), (0.2, 0.1))
    wait(photo)
    before = missing(photo)
    drag(photo, (0.8, 0.8), (0.8, 0.9))
    wait(photo)
    after = missing(photo)
    assert before.sum() < after.sum() and after[before].all()


def test_a_large_hole_is_called_a_smear(photo):
    pen = place(photo, NAME).locator("input[type=range]")
    pen.fill("24")
    drag(photo, (0.5, 0.3), (0.7, 0.3))
    assert "that becomes a smear" in wait(photo)
    pen.fill("5")


def test_a_finger_draws(browser, built):
    how = dict(has_touch=True, is_mobile=True, viewport=dict(width=390, height=844))
    context = browser.new_context(**how)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(f"{built.as_uri()}/inpainting.html")
    canvas = place(tab, NAME).locator(".scratch-photo")
    canvas.scroll_into_view_if_needed()
    box, top = canvas.bounding_box(), tab.evaluate("scrollY")
    session = context.new_cdp_session(tab)

    def touch(kind, *points):
        places = [
            dict(x=box["x"] + x * box["width"], y=box["y"] + y * box["height"]) for x, y in points
        ]
        session.send("Input.dispatchTouchEvent", dict(type=kind, touchPoints=places))

    touch("touchStart", (0.5, 0.2))
    for n in range(1, 7):
        touch("touchMove", (0.5, 0.2 + n / 10))
    touch("touchEnd")
    words = wait(tab)
    rows, columns = np.nonzero(missing(tab))
    assert np.ptp(rows) > 140 and np.ptp(columns) <= 6
    assert "pixels were missing" in words
    assert tab.evaluate("scrollY") == top
    context.close()


def test_everything_is_done_by_keyboard(photo):
    stage = place(photo, NAME)
    for name in ("Scratches", "Text"):
        before = missing(photo).sum()
        stage.get_by_role("button", name=name).focus()
        photo.keyboard.press("Enter")
        wait(photo)
        assert missing(photo).sum() > before + 500
    mended, mask = shown(photo), missing(photo)
    compare = stage.get_by_role("button", name="Before / after")
    compare.focus()
    photo.keyboard.press("Space")
    assert compare.get_attribute("aria-pressed") == "true"
    assert (shown(photo)[mask] == [255, 0, 255]).all()
    photo.keyboard.press("Space")
    assert np.array_equal(shown(photo), mended)
    stage.locator("select").select_option("alone")
    assert not np.array_equal(shown(photo), mended)
    stage.locator("select").select_option("mended")
    stage.get_by_role("button", name="Start anew").focus()
    photo.keyboard.press("Enter")
    assert np.array_equal(shown(photo), PORTRAIT) and not missing(photo).any()


def test_nothing_missing(photo):
    stage = place(photo, NAME)
    assert stage.get_by_role("button", name="Before / after").is_disabled()
    assert stage.get_by_role("button", name="Save as PNG").is_disabled()
    alone, mended = mend(photo, PORTRAIT, np.zeros((256, 256), bool))
    assert np.array_equal(alone, PORTRAIT) and np.array_equal(mended, PORTRAIT)


def test_nothing_left(photo):
    photo.evaluate("kit.running.scratch.missing.fill(1)")
    press(photo, "Scratches")
    assert "Nothing of the photo is left" in said(photo)
    photo.evaluate("kit.running.scratch.missing[0] = 0")
    press(photo, "Text")
    assert "Only 1 known pixel is left to go by" in wait(photo)


# ------------------------------------------------------------------------------ files


def as_file(array, name="own.png"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return dict(name=name, mimeType="image/png", buffer=file.getvalue())


def choose(tab, file):
    place(tab, NAME).locator("input[type=file]").set_input_files(file)


def test_a_photo_of_the_readers_own(photo):
    own = data.chelsea()[:201, :333]
    choose(photo, as_file(own))
    photo.wait_for_function("kit.running.scratch.photo.w == 333")
    assert np.array_equal(shown(photo), own)
    press(photo, "Scratches")
    words, mask = wait(photo), missing(photo)
    assert "dB" not in words  # nobody knows what belongs there
    assert abs(np.float64(shown(photo)) - inpaint(own, mask))[mask].mean() < 0.1


def test_a_large_photo_is_made_smaller(photo):
    choose(photo, as_file(np.tile(data.coffee(), (2, 2, 1))))
    photo.wait_for_function("kit.running.scratch.photo.w == 512")
    assert shown(photo).shape == (341, 512, 3)
    box = place(photo, NAME).locator(".scratch-photo").bounding_box()
    assert abs(box["width"] / box["height"] - 512 / 341) < 0.01


@pytest.mark.parametrize(
    "file, words",
    [
        (dict(name="notes.txt", mimeType="text/plain", buffer=b"no picture"), "no picture"),
        (as_file(np.zeros((4, 90), np.uint8), "line.png"), "too small or too narrow: 90 by 4"),
    ],
    ids=["text", "narrow"],
)
def test_a_file_that_cannot_be_used(photo, file, words):
    "The words stay until something else is done, and so does the photo."
    choose(photo, file)
    place(photo, NAME).get_by_text(f"{file['name']} is").wait_for()
    photo.wait_for_timeout(200)
    assert words in said(photo)
    assert np.array_equal(shown(photo), PORTRAIT)


def test_saving(photo):
    press(photo, "Scratches")
    wait(photo)
    mended = shown(photo)
    press(photo, "Before / after")  # what is saved does not depend on it
    with photo.expect_download() as found:
        press(photo, "Save as PNG")
    assert found.value.suggested_filename == "mended.png"
    assert np.array_equal(np.asarray(Image.open(found.value.path()).convert("RGB")), mended)
