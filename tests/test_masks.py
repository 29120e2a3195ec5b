"What is selected is what was drawn, or the mask is refused."

import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from cadl_flax.masks import colour_mask, read_mask, transparent_mask

BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)
SQUARE = np.zeros((32, 32), bool)
SQUARE[9:20, 11:25] = True
rng = np.random.default_rng(0)


def paint(share, ink, background=BLACK):
    "A drawing in two colours, and their blends where it is soft, `(h, w, 3)` uint8."
    share = np.float64(share)[..., None]
    return np.uint8(np.rint(share * np.float64(ink) + (1 - share) * np.float64(background)))


def stored(picture, file_format="JPEG", quality=75):
    "The picture as it comes back from a file."
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format=file_format, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def strokes(size, lines, smooth=1):
    "Lines `(x, y, x, y, width)` as shares of ink, `(size, size)`."
    image = Image.new("L", (size * smooth, size * smooth))
    pen = ImageDraw.Draw(image)
    for *ends, width in lines:
        pen.line([smooth * place for place in ends], fill=255, width=smooth * width)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX)) / 255


def selects(mask, drawn, words=None, **options):
    "Look that the mask selects what was drawn, in an array of its own."
    missing, found = read_mask(mask, **options)
    assert missing.dtype == bool and missing.shape == drawn.shape
    np.testing.assert_array_equal(missing, drawn)
    assert not np.shares_memory(missing, mask)
    assert words in (None, found)


# What people draw

STROKE = st.tuples(*[st.integers(0, 39)] * 4, st.integers(1, 4))
LEVEL = st.integers(0, 255)
COLOUR = st.tuples(LEVEL, LEVEL, LEVEL)


@st.composite
def drawings(draw):
    "Strokes, hard or soft, blocks and dots, as shares of ink with a known pixel and full ink."
    kind = draw(st.sampled_from(["strokes", "soft strokes", "blocks", "dots"]))
    if "strokes" in kind:
        lines = draw(st.lists(STROKE, min_size=1, max_size=4))
        share = strokes(40, lines, 8 if "soft" in kind else 1)
    else:
        random = np.random.default_rng(draw(st.integers(0, 99)))
        side = 8 if kind == "blocks" else 1
        most = 0.5 if kind == "blocks" else 0.95
        cells = random.random((40 // side, 40 // side)) < draw(st.floats(0.02, most))
        share = np.kron(cells, np.ones((side, side)))
    assume(share.max() > 0.9 and share.min() == 0)
    return share


DEPTHS = {
    "uint8": lambda levels: levels,
    "uint16": lambda levels: levels.astype(np.uint16) * 257,
    "uint16 of 8 bits": lambda levels: levels.astype(np.uint16),
    "int16": lambda levels: levels.astype(np.int16),
    "float32": lambda levels: np.float32(levels / 255),
    "a view": lambda levels: levels[::-1][::-1],
}


@settings(max_examples=150, deadline=None)
@given(drawings(), COLOUR, st.sampled_from(list(DEPTHS)), st.sampled_from([1, 3, "alpha"]))
def test_ink_on_black_is_never_refused(share, ink, depth, channels):
    assume(max(ink) >= 64 and np.mean(share > 0) <= 0.5)
    picture = paint(share, ink)
    picture = picture[..., :1] if channels == 1 else picture
    drawn = picture.any(-1)
    assume(drawn.any())
    if channels == "alpha":
        picture = np.dstack([picture, np.full(share.shape, 255, np.uint8)])
    selects(DEPTHS[depth](picture), drawn)


@settings(max_examples=100, deadline=None)
@given(drawings(), COLOUR, COLOUR, st.integers(20, 255), st.sampled_from(list(DEPTHS)))
def test_ink_on_a_transparent_layer_is_never_refused(share, ink, hidden, opacity, depth):
    assume(np.mean(share > 0) <= 0.5)
    alpha = np.uint8(np.rint(share * opacity))
    colours = np.where(alpha[..., None] > 0, np.uint8(ink), np.uint8(hidden))
    drawn = alpha > 0
    words = "opaque on transparent"
    found = read_mask(DEPTHS[depth](np.dstack([colours, alpha])))
    np.testing.assert_array_equal(found[0], drawn)
    assert found[1] in (words, f"soft {words}")
    selects(DEPTHS[depth](np.dstack([colours[..., :1], alpha])), drawn)


@settings(max_examples=300, deadline=None)
@given(drawings(), COLOUR, COLOUR, st.sampled_from(list(DEPTHS)))
def test_what_was_drawn_in_any_two_colours_is_selected_or_refused(share, ink, background, depth):
    picture = paint(share, ink, background)
    drawn = (picture != background).any(-1)
    edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assume(drawn.any() and drawn.mean() < 0.4 and edge.mean() < 0.3)
    if ink == BLACK:  # strewn black dots are read as white ones
        drawn_beside = ndimage.convolve(np.uint8(drawn), np.ones((3, 3)), mode="constant")[drawn]
        assume((drawn_beside > 3).mean() > 0.8)
    try:
        missing, _ = read_mask(DEPTHS[depth](picture))
    except ValueError:
        return
    np.testing.assert_array_equal(missing, drawn)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(STROKE, min_size=1, max_size=3), st.sampled_from(list(DEPTHS)), st.sampled_from([1, 8])
)
def test_black_strokes_on_white_are_refused_until_inverted(lines, depth, smooth):
    share = strokes(40, lines, smooth)
    assume(0.9 < share.max() and share.mean() < 0.3)
    picture = DEPTHS[depth](paint(share, BLACK, WHITE))
    drawn = picture[..., 0] != picture.max()
    edge = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assume((paint(share, BLACK, WHITE) == 0).any() and edge.mean() < 0.3)
    with pytest.raises(ValueError, match="fills the black, .* the white"):
        read_mask(picture)
    words = "soft black on white" if smooth == 8 and len(np.unique(picture)) > 2 else None
    selects(picture, drawn, words, invert=True)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_a_few_pixels(h, w, data):
    values = np.uint8(
        data.draw(st.lists(st.sampled_from([0, 1, 255]), min_size=h * w, max_size=h * w))
    )
    mask = values.reshape(h, w)
    try:
        missing, words = read_mask(mask)
    except ValueError:
        return
    background = 0 if (mask == 0).any() else mask[0, 0]
    np.testing.assert_array_equal(missing, mask != background)
    assert (words == "nothing") == (not mask.any())


# Rules, each by an example

TWO_REDS = np.dstack([np.where(SQUARE, 200, 100), np.zeros((32, 32)), np.zeros((32, 32))])
HALF = np.zeros((32, 32), np.uint8)
HALF[:16] = 255
LAYER = np.dstack([paint(SQUARE, RED, BLUE), np.uint8(SQUARE) * 255])
TWO_INKS = paint(SQUARE, RED)
TWO_INKS[25:28, 2:20] = 0, 200, 10
SOFT = strokes(32, [(5, 5, 26, 20, 3)], smooth=8)


@pytest.mark.parametrize(
    "mask, drawn, words",
    [
        (SQUARE, SQUARE, "True"),
        (SQUARE[..., None], SQUARE, "True"),
        ((SQUARE * np.uint8(255)).view(bool), SQUARE, "True"),
        (np.zeros((5, 4), bool), np.zeros((5, 4), bool), "nothing"),
        (np.zeros((5, 4)), np.zeros((5, 4), bool), "nothing"),
        (np.zeros((5, 4, 4), np.uint8), np.zeros((5, 4), bool), "nothing"),
        (np.zeros((1, 1), np.uint8), np.zeros((1, 1), bool), "nothing"),
        (np.uint8(SQUARE), SQUARE, "white on black"),
        (np.uint8(SQUARE) * 100, SQUARE, "gray on black"),
        (-SQUARE.astype(int), SQUARE, None),
        (SQUARE * 1e-30, SQUARE, None),
        (SQUARE * 1e30, SQUARE, "white on black"),
        (SQUARE * np.uint64(2**63), SQUARE, "white on black"),
        (paint(SQUARE, RED), SQUARE, "red on black"),
        (paint(SQUARE, RED, WHITE), SQUARE, "red on white"),
        (paint(SQUARE, (128, 0, 1)), SQUARE, "#800001 on black"),
        (paint(SQUARE, (9, 9, 9), (90, 90, 90)), SQUARE, "#090909 on gray"),
        (TWO_REDS, SQUARE, "#c80000 on #640000"),
        (TWO_INKS, TWO_INKS.any(-1), "several colours on black"),
        (LAYER, SQUARE, "opaque on transparent"),
        (LAYER[..., 2:], SQUARE, "opaque on transparent"),
        (np.dstack([TWO_INKS, np.full((32, 32), 7)]), TWO_INKS.any(-1), "several colours on black"),
        (np.uint8(np.rint(255 * SOFT)), np.rint(255 * SOFT) > 0, "soft white on black"),
        (np.stack([SQUARE] * 3, -1), SQUARE, "white on black"),
        (np.uint8([[0, 7]]), np.array([[False, True]]), "gray on black"),
        (np.uint8([[0], [1]]), np.array([[False], [True]]), "white on black"),
        (HALF, HALF > 0, "white on black"),
    ],
)  # fmt: skip
def test_what_is_taken_for_what(mask, drawn, words):
    selects(mask, drawn, words)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("size", [64, 256])
def test_dots_are_not_doubtful(share, size):
    for seed in range(10):
        dots = np.random.default_rng(seed).random((size, size)) < share
        selects(np.uint8(dots) * 255, dots, "white on black")


def continued(known):
    "A picture of which a rectangle is known."
    missing = np.ones((40, 40), bool)
    missing[known] = False
    return missing


@pytest.mark.parametrize("known", [np.s_[:, :18], np.s_[:8], np.s_[:28, :28]])
def test_what_continues_a_picture_is_not_doubtful(known):
    "The known part takes more than a third of the border."
    selects(np.uint8(continued(known)) * 255, continued(known), "white on black")


@pytest.mark.parametrize("known", [np.s_[8:30, 8:30], np.s_[12:28, :30], np.s_[12:28], np.s_[:4]])
def test_a_known_part_that_could_be_a_stroke_is_doubtful(known):
    missing = continued(known)
    with pytest.raises(ValueError, match="could mean either"):
        read_mask(np.uint8(missing))
    selects(np.uint8(missing), missing, invert=False)


def test_holes_cut_out_of_a_photo_are_doubtful_until_it_is_said():
    photo = rng.integers(0, 256, (32, 32, 3), np.uint8)
    cut = np.dstack([photo, np.uint8(~SQUARE) * 255])
    with pytest.raises(ValueError, match="fills the transparent, .* the opaque"):
        read_mask(cut)
    selects(cut, SQUARE, "transparent on opaque", invert=True)
    selects(cut, ~SQUARE, "opaque on transparent", invert=False)


def test_a_doubt_says_how_much_would_be_filled():
    with pytest.raises(ValueError, match=r"85 % of it is white and 15 % black"):
        read_mask(np.uint8(~SQUARE))


def test_few_known_pixels_are_doubtful():
    strewn = [(0, 5), (0, 20), (9, 9), (15, 31), (20, 24), (31, 7)]
    for places in ([(12, 12)], [(0, 5)], [(3, 4), (20, 29), (31, 7)], strewn):
        mask = np.full((32, 32), 255, np.uint8)
        mask[tuple(zip(*places))] = 0
        with pytest.raises(ValueError, match="could mean either"):
            read_mask(mask)


def test_dots_in_the_middle_of_a_page_are_doubtful():
    known = np.pad(np.random.default_rng(0).random((60, 60)) < 0.1, 2)
    with pytest.raises(ValueError, match="could mean either"):
        read_mask(np.uint8(~known))


def test_two_colours_without_a_background_wait_for_a_word():
    halves = np.where(np.arange(32) < 16, 100, 200) + np.zeros((32, 1), int)
    with pytest.raises(ValueError, match="fills the #646464|fills the gray"):
        read_mask(halves)
    selects(halves, halves == 200, invert=False)
    selects(halves, halves == 100, invert=True)


def test_a_background_without_black_fills_the_corners_and_more_than_half():
    page = paint(SQUARE, RED, WHITE)
    page[25:28, 12:28] = BLUE
    selects(page, (page != WHITE).any(-1), "several colours on white")
    in_a_corner = page.copy()
    in_a_corner[0, 31] = RED
    less_than_half = page.copy()
    less_than_half[1:-1, 1:22] = RED
    for refused in (in_a_corner, less_than_half):
        with pytest.raises(ValueError, match="has no background"):
            read_mask(refused)


def test_the_two_sides_of_a_hard_mask_are_complements():
    for mask in (paint(SQUARE, RED), TWO_INKS, LAYER, np.uint8(SQUARE), SQUARE):
        drawn, _ = read_mask(mask)
        selects(mask, ~drawn, invert=True)
        selects(mask, drawn, invert=False)


def test_the_edge_of_a_soft_mask_is_missing_on_both_sides():
    mask = np.uint8(np.rint(255 * SOFT))
    selects(mask, mask > 0)
    selects(mask, mask < 255, "soft black on white", invert=True)
    selects(255 - mask, mask > 0, "soft black on white", invert=True)


def test_a_soft_edge_along_the_border_is_an_edge():
    mask = np.zeros((32, 32), np.uint8)
    mask[4:9, :2], mask[20, 9:12] = 128, 255
    selects(mask, mask > 0, "soft white on black")
    selects(mask, mask < 255, "soft black on white", invert=True)


def test_soft_strokes_in_two_colours_are_several():
    picture = np.maximum(paint(SOFT, RED), paint(SOFT[:, ::-1], BLUE))
    selects(picture, picture.any(-1), "several colours on black")
    selects(picture, ~picture.any(-1), "black on several colours", invert=True)


def test_classes_are_no_soft_edge():
    classes = np.zeros((32, 32), np.uint8)
    classes[4:12, 4:12], classes[15:28, 8:28] = 1, 3
    selects(classes, classes > 0, "several colours on black")
    selects(classes, classes == 0, "black on several colours", invert=True)


def test_a_constant_alpha_says_nothing():
    for alpha in (1, 128, 255):
        selects(np.dstack([paint(SQUARE, RED), np.full((32, 32), alpha, np.uint8)]), SQUARE)


def test_an_alpha_that_is_nowhere_zero_is_refused_unless_colours_agree():
    alpha = np.uint8(np.where(SQUARE, 255, 100))
    selects(np.dstack([paint(SQUARE, RED), alpha]), SQUARE, "red on black")
    for colours in (paint(SQUARE, WHITE, WHITE), paint(SQUARE.T, RED)):
        with pytest.raises(ValueError, match="alpha from 39.2 % to 100 %"):
            read_mask(np.dstack([colours, alpha]))


# Options


@pytest.mark.parametrize("threshold", [0, 0.1, 0.5, 0.9, np.float32(0.25)])
def test_a_threshold_is_a_share_of_the_strongest_ink(threshold):
    levels = np.pad(np.arange(0, 201, dtype=np.uint8).reshape(3, 67), ((0, 4), (0, 0)))
    selects(levels, levels / 200 > threshold, threshold=threshold)
    selects(levels / 1000, levels / 200 > threshold, threshold=threshold)


@pytest.mark.parametrize("grow", [0, 1, 2, 5])
def test_the_area_grows_by_a_disk(grow):
    rows, columns = np.mgrid[:32, :32]
    for mask in (SQUARE, SQUARE[:, :12]):
        points = np.argwhere(mask)
        squared = ((rows - points[:, :1, None]) ** 2 + (columns - points[:, 1:, None]) ** 2).min(0)
        selects(mask, (squared <= grow**2)[:, : mask.shape[1]], grow=grow)


def test_nothing_does_not_grow():
    selects(np.zeros((8, 8), np.uint8), np.zeros((8, 8), bool), "nothing", grow=3)


# With loss

CROSS = strokes(128, [(10, 12, 110, 100, 3), (100, 9, 20, 120, 2), (10, 64, 120, 64, 1)]) > 0
LOSSY = [("JPEG", 75), ("JPEG", 85), ("JPEG", 95), ("WEBP", 75), ("WEBP", 95)]


@pytest.mark.parametrize("is_lossy", [True, None])
@pytest.mark.parametrize("file_format, quality", LOSSY)
@pytest.mark.parametrize(
    "ink, background, most",
    [
        (WHITE, BLACK, 0),
        (BLACK, WHITE, 0),
        ((128, 128, 128), BLACK, 0),
        (RED, WHITE, 0),
        (RED, BLACK, 0.005),
        (BLUE, WHITE, 0),
        ((255, 0, 255), BLACK, 0.005),
    ],
)
def test_a_hard_drawing_survives_a_file_with_loss(
    ink, background, most, file_format, quality, is_lossy
):
    picture = stored(paint(CROSS, ink, background), file_format, quality)
    invert = True if ink == BLACK else None
    missing, words = read_mask(picture, invert=invert, is_lossy=is_lossy)
    assert np.count_nonzero(missing != CROSS) <= most * np.count_nonzero(CROSS)
    assert "soft" not in words and "several" not in words


@pytest.mark.parametrize("file_format, quality", LOSSY)
@pytest.mark.parametrize("invert", [None, True])
def test_a_soft_drawing_keeps_what_can_be_told_from_noise(file_format, quality, invert):
    share = strokes(128, [(10, 12, 110, 100, 4), (100, 9, 20, 120, 3)], smooth=8)
    ink, background = (BLACK, WHITE) if invert else (WHITE, BLACK)
    picture = stored(paint(share, ink, background), file_format, quality)
    missing, words = read_mask(picture, invert=invert, is_lossy=True)
    assert words.startswith("soft")
    assert missing[share > 0.25].all()
    assert np.count_nonzero(missing & (share == 0)) < 0.1 * np.count_nonzero(share)


@pytest.mark.parametrize("file_format, quality", LOSSY)
def test_thin_black_lines_waver_in_the_white_around_them(file_format, quality):
    thin = strokes(128, [(10, 12, 110, 100, 1), (100, 9, 20, 120, 1)]) > 0
    selects(stored(paint(thin, BLACK, WHITE), file_format, quality), thin, invert=True)


def test_levels_are_exact_where_nothing_wavers():
    for is_lossy in (False, None):
        levels = np.pad(np.arange(256, dtype=np.uint8).reshape(16, 16), ((0, 17), (0, 0)))
        selects(levels, levels > 0, is_lossy=is_lossy)
    picture = stored(paint(CROSS, WHITE))
    missing, _ = read_mask(picture, is_lossy=False)
    np.testing.assert_array_equal(missing, picture.any(-1))


def test_an_ink_that_loss_would_hide_is_refused():
    picture = paint(CROSS, WHITE)
    picture[2:8, 20:60] = BLUE
    with pytest.raises(ValueError, match="save it as a PNG"):
        read_mask(stored(picture, quality=90), is_lossy=True)
    gray = paint(CROSS, WHITE)
    gray[2:8, 20:60] = 90
    with pytest.raises(ValueError, match="save it as a PNG"):
        read_mask(stored(gray, quality=90))


def test_a_mask_of_probabilities_is_cut_in_the_middle():
    noise = rng.random(CROSS.shape) * 0.04
    probabilities = np.where(CROSS, 1 - noise, noise)
    selects(probabilities, CROSS, "white on black")
    alpha = np.uint8(np.rint(255 * probabilities))
    alpha[0, 0] = 0
    selects(np.dstack([alpha, alpha]), CROSS, "opaque on transparent")


def test_a_black_page_with_loss_holds_nothing():
    page = np.uint8(rng.integers(0, 10, (32, 32)))
    selects(page, np.zeros((32, 32), bool), "nothing", is_lossy=True)


# Errors

ERRORS = [
    (ValueError, "mask is True everywhere: there is no known pixel to start from", dict(mask=np.ones((3, 3), bool))),
    (ValueError, "mask is False everywhere", dict(mask=np.zeros((3, 3), bool), invert=True)),
    (ValueError, "mask is white everywhere: there is no known pixel", dict(mask=np.full((3, 3), 255))),
    (ValueError, "mask is white everywhere", dict(mask=np.ones((1, 1)))),
    (ValueError, "mask is red everywhere", dict(mask=paint(SQUARE, RED, RED))),
    (ValueError, "mask is black everywhere", dict(mask=np.zeros((3, 3)), invert=True)),
    (ValueError, "mask is white everywhere", dict(mask=np.uint8(rng.integers(245, 256, (9, 9))), is_lossy=True)),
    (ValueError, "mask is transparent everywhere: it selects no pixel", dict(mask=LAYER * np.uint8([1, 1, 1, 0]))),
    (ValueError, "alpha of -1", dict(mask=np.dstack([SQUARE, -SQUARE.astype(int)]))),
    (ValueError, "mask has no background", dict(mask=np.arange(1, 65).reshape(8, 8))),
    (ValueError, "the most common, #070707, fills 50 %", dict(mask=np.tile(np.uint8([7, 7, 9, 11]), (4, 1)))),
    (ValueError, "grow=40 leaves no known pixel", dict(grow=40)),
    (ValueError, "mask has NaN", dict(mask=np.where(SQUARE, np.nan, 0))),
    (ValueError, "mask has NaN or infinite", dict(mask=np.where(SQUARE, np.inf, 0))),
    (ValueError, "mask has shape (2, 8, 8)", dict(mask=np.zeros((2, 8, 8)))),
    (ValueError, "mask has shape (8, 8, 5)", dict(mask=np.zeros((8, 8, 5)))),
    (ValueError, "mask has shape (8,)", dict(mask=np.zeros(8))),
    (ValueError, "mask has shape (8, 8, 0)", dict(mask=np.zeros((8, 8, 0)))),
    (ValueError, "mask has shape (0, 8)", dict(mask=np.zeros((0, 8)))),
    (TypeError, "dtype complex128", dict(mask=SQUARE * 1j)),
    (TypeError, "dtype object", dict(mask=SQUARE.astype(object))),
    (TypeError, "dtype <U5", dict(mask=SQUARE.astype(str))),
    (TypeError, "mask is a masked array", dict(mask=np.ma.array(SQUARE))),
    (ValueError, "threshold=1 must", dict(threshold=1)),
    (ValueError, "threshold=-0.1 must", dict(threshold=-0.1)),
    (ValueError, "threshold=nan must", dict(threshold=np.nan)),
    (TypeError, "threshold='a'", dict(threshold="a")),
    (TypeError, "threshold=True", dict(threshold=True)),
    (ValueError, "grow=-1", dict(grow=-1)),
    (TypeError, "grow=1.5", dict(grow=1.5)),
    (TypeError, "invert=1 is a int", dict(invert=1)),
    (TypeError, "is_lossy='jpg'", dict(is_lossy="jpg")),
]  # fmt: skip


@pytest.mark.parametrize("kind, words, arguments", ERRORS, ids=[words for _, words, _ in ERRORS])
def test_a_bad_argument_is_named(kind, words, arguments):
    with pytest.raises(kind) as caught:
        read_mask(**dict(mask=SQUARE) | arguments)
    assert words in str(caught.value)


# Pictures that carry their own mark


@pytest.mark.parametrize(
    "depth", [name for name in DEPTHS if name not in ("int16", "uint16 of 8 bits")]
)
@pytest.mark.parametrize("colour", ["#ff00ff", "magenta", (255, 0, 255)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_colour_is_found(depth, colour, with_alpha):
    picture = rng.integers(0, 200, (32, 32, 3), np.uint8)
    picture[SQUARE] = 255, 0, 255
    if with_alpha:
        picture = np.dstack([picture, rng.integers(0, 256, (32, 32), np.uint8)])
    np.testing.assert_array_equal(colour_mask(DEPTHS[depth](picture), colour), SQUARE)


@settings(max_examples=60, deadline=None)
@given(COLOUR, st.integers(0, 255))
def test_a_tolerance_holds_in_every_channel(colour, tolerance):
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    picture[0, 0] = colour
    picture[0, 1] = 255 - np.uint8(colour)
    expected = (abs(picture.astype(int) - colour) <= tolerance).all(-1)
    if expected.all():
        return
    np.testing.assert_array_equal(colour_mask(picture, colour, tolerance=tolerance), expected)


def test_a_gray_is_found_in_gray_pictures():
    gray = np.uint8(np.where(SQUARE, 90, 20))
    for picture in (gray, gray[..., None], np.dstack([gray, 255 - gray])):
        np.testing.assert_array_equal(colour_mask(picture, "#5a5a5a"), SQUARE)
        np.testing.assert_array_equal(colour_mask(picture, [90]), SQUARE)
    with pytest.raises(ValueError, match="the nearest, #5a5a5a, differs by 165"):
        colour_mask(gray, "red")  # of which gray has no more in one channel than in another


@pytest.mark.parametrize(
    "words, arguments",
    [
        ("colour='pinkish' is no colour", dict(colour="pinkish")),
        ("one or three levels", dict(colour=(1, 2))),
        ("one or three levels", dict(colour=(1, 2, 256))),
        ("one or three levels", dict(colour=(1, 2, np.nan))),
        ("tolerance=-1", dict(tolerance=-1)),
        ("tolerance=256", dict(tolerance=256)),
        ("no pixel: the nearest, #ff0000, differs by 9", dict(colour="#ff0009")),
        ("the colour of every pixel", dict(tolerance=255)),
        ("pixels has shape (4, 4, 5)", dict(pixels=np.zeros((4, 4, 5)))),
    ],
)
def test_a_colour_that_marks_nothing_is_refused(words, arguments):
    with pytest.raises(ValueError) as caught:
        colour_mask(**dict(pixels=paint(SQUARE, RED, WHITE), colour="red") | arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_less_than_half_opaque_is_transparent(depth):
    alpha = np.uint8(np.where(SQUARE, 127, 128))
    for colours in (paint(SQUARE, RED), alpha):
        picture = DEPTHS[depth](np.dstack([colours, alpha]))
        np.testing.assert_array_equal(transparent_mask(picture), SQUARE)
        with pytest.raises(ValueError, match="no transparent pixel"):
            transparent_mask(picture[:5])
        with pytest.raises(ValueError, match="transparent everywhere"):
            transparent_mask(picture[10:12, 12:20])
    with pytest.raises(ValueError, match="has no alpha"):
        transparent_mask(paint(SQUARE, RED))
