"Channels are filled in their own ranges, and what means no data, or lies far away, is not used."

import warnings
from functools import partial

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, draw
from skimage.restoration import inpaint_biharmonic

from cadl_flax import inpaint
from cadl_flax import inpainting
from cadl_flax.inpainting import _hole, _likeness, _pictures, _Range
from cadl_flax.pictures import shrink

SIDE = 96
PHOTO = shrink(data.astronaut()[:256, 96:352], SIDE)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / SIDE
DOTS = np.random.default_rng(0).random((SIDE, SIDE)) < 0.5
GAP = np.zeros((SIDE, SIDE), bool)
GAP[50:55, 20:80] = True


def strokes(shape):
    "Three lines, three pixels wide."
    mask = np.zeros(shape, bool)
    for ends in ((5, 3, 80, 90), (70, 0, 20, 95), (90, 20, 40, 70)):
        mask[draw.line(*ends)] = True
    return ndimage.binary_dilation(mask, np.ones((3, 3)))


def squares(shape):
    "Twelve of ten by ten pixels."
    mask = np.zeros(shape, bool)
    for i, j in np.random.default_rng(0).integers(0, np.array(shape) - 10, (12, 2)):
        mask[i : i + 10, j : j + 10] = True
    return mask


MASKS = {"dots": DOTS, "strokes": strokes((SIDE, SIDE)), "squares": squares((SIDE, SIDE))}
SHEAR = COLUMNS + 0.2 * np.sin(9 * ROWS) > 0.5
DEPTHS = {
    "smooth": 2 + 3 * COLUMNS + 0.5 * np.sin(9 * ROWS),
    "edges": 2 + 3 * SHEAR + ROWS,
    "discs": 1 + (np.hypot(ROWS - 0.3, COLUMNS - 0.4) < 0.2) + 2.0 * (ROWS + COLUMNS > 1.3),
    "small": (2 + COLUMNS + SHEAR) / 1e4,
    "large": 1e6 * (2 + COLUMNS + SHEAR),
}


def error(fill, truth, mask):
    "The root of the mean square at the masked pixels."
    return float(np.sqrt(np.mean((np.float64(fill) - truth)[mask] ** 2)))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
def test_a_depth_beside_a_photo_is_filled_as_alone(depth, mask):
    depth = np.float32(depth)
    beside = inpaint(np.dstack([np.float32(PHOTO), depth]), mask)[..., 3]
    of_alone = error(inpaint(depth, mask), depth, mask)
    of_biharmonic = error(inpaint_biharmonic(np.float64(depth), mask), depth, mask)
    assert error(beside, depth, mask) <= 1.01 * of_alone
    assert error(beside, depth, mask) <= 1.01 * of_biharmonic


def test_a_photo_beside_a_depth_is_filled_as_alone():
    depth = np.float32(DEPTHS["edges"])
    layers = inpaint(np.dstack([np.float32(PHOTO), depth]), DOTS)
    np.testing.assert_allclose(layers[..., :3], inpaint(np.float32(PHOTO), DOTS), atol=1e-3)


def test_bands_of_other_ranges_are_filled_as_alone():
    coffee = data.coffee()[100 : 100 + SIDE, 200 : 200 + SIDE]
    bands = np.dstack([coffee[..., c] / 255.0 * most for c, most in enumerate((300, 3e3, 6e4))])
    bands = np.uint16(bands)
    filled = inpaint(bands, DOTS)
    for c in range(3):
        np.testing.assert_array_equal(filled[..., c], inpaint(bands[..., c], DOTS))


@pytest.mark.parametrize("kind, number", [(np.uint8, 255), (np.uint16, 777), (np.float32, 0.3)])
def test_a_constant_channel_stays_constant(kind, number):
    constant = np.full((SIDE, SIDE), number, kind)
    layers = inpaint(np.dstack([PHOTO.astype(kind), constant]), DOTS)
    np.testing.assert_array_equal(layers[..., 3], constant)
    np.testing.assert_array_equal(layers[..., :3], inpaint(PHOTO.astype(kind), DOTS))


def test_a_map_of_two_classes_keeps_them():
    classes = np.uint8(np.hypot(ROWS - 0.5, COLUMNS - 0.5) < 0.3)
    filled = inpaint(np.dstack([PHOTO, classes]), DOTS)[..., 3]
    assert set(np.unique(filled)) == {0, 1}
    assert np.mean((filled != classes)[DOTS]) < 0.03


PICTURES = {
    "photo": PHOTO,
    "coffee": data.coffee()[100:196, 200:296],
    "a flight": data.rocket()[200:296, 200:296],
    "a retina": data.retina()[700:796, 700:796],
    "a flower bed": data.stereo_motorcycle()[0][200:296, 300:396],
    "noise": PHOTO + np.random.default_rng(0).normal(0, 13, PHOTO.shape),
}


def ranges_of(picture):
    "From the smallest to the largest number of every channel."
    return [_Range(channel.min(), channel.max()) for channel in np.moveaxis(picture, -1, 0)]


def groups(picture, mask):
    "Which channels are joined."
    ranges = ranges_of(picture)
    unit = [r.scaled(channel) for r, channel in zip(ranges, np.moveaxis(picture, -1, 0))]
    hole = _hole([*range(len(ranges))], mask)
    return [list(g) for g in _pictures(np.float32(np.dstack(unit)), hole, mask, ranges)]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_colours_are_one_picture(picture, mask):
    assert groups(np.float64(picture), mask) == [[0, 1, 2]]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
def test_a_depth_is_another_picture(depth, mask):
    assert groups(np.dstack([PHOTO, depth]), mask) == [[0, 1, 2], [3]]
    assert groups(np.dstack([depth, PHOTO]), mask) == [[0], [1, 2, 3]]


def test_likeness_is_of_shape_and_size():
    "Two channels, one a multiple of the other: twice the product by the sum of squares."
    gray = np.float32(PHOTO[..., 0] / 255)
    likeness = _likeness(np.dstack([gray, 3 * gray, -gray]), _hole([0, 1, 2], DOTS), DOTS)
    expected = [[1, 0.6, -1], [0.6, 1, -0.6], [-1, -0.6, 1]]
    np.testing.assert_allclose(likeness, expected, atol=1e-5)


# Far away and no data


HEIGHTS = np.float32(PHOTO.mean(2) + 100)
NUMBERS = [-9999, -32768, float(np.finfo(np.float32).min), 1e30]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("number", [*NUMBERS, -1e9])
@pytest.mark.parametrize("rows", [slice(0, 14), slice(14, 25)], ids=["37 rows", "26 rows"])
def test_what_lies_far_away_has_no_influence(rows, number, kind):
    image = HEIGHTS.astype(kind)
    changed = image.copy()
    changed[rows, 10:60] = number
    filled = inpaint(changed, GAP)
    np.testing.assert_array_equal(filled[GAP], inpaint(image, GAP)[GAP])
    np.testing.assert_array_equal(filled[~GAP], changed[~GAP])


@pytest.mark.parametrize("distance", [26, 40])
def test_nothing_beyond_25_pixels_has_an_influence(distance):
    "Also of colours, in other channels and beside a hole that takes pictures of half the size."
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:72, 40:72] = True
    near = ndimage.maximum_filter(mask, 2 * distance - 1)
    assert not near.all()
    noise = np.random.default_rng(1).integers(0, 256, PHOTO.shape, np.uint8)
    other = np.where(near[..., None], PHOTO, noise)
    np.testing.assert_array_equal(inpaint(other, mask)[mask], inpaint(PHOTO, mask)[mask])


def test_beyond_the_stencil_an_extreme_counts_no_further_than_a_margin():
    "What lies three pixels away, in a picture of eight bits."
    gap = np.zeros((SIDE, SIDE), bool)
    gap[50:53, 20:50] = True
    image = np.uint8(100 + 20 * COLUMNS + 10 * np.sin(20 * ROWS))
    low, high = np.uint8(60), np.uint8(0)
    for number in (low, high):
        changed = image.copy()
        changed[44:48, 30:34] = number
        filled = inpaint(changed, gap)
        if number == low:
            first = filled
    np.testing.assert_array_equal(filled[gap], first[gap])


@pytest.mark.parametrize("number", NUMBERS)
def test_an_absurd_value_beside_a_hole_is_not_used(number):
    image = HEIGHTS.copy()
    image[46:50, 30:40] = number
    with pytest.warns(UserWarning, match="40 known values of .*nodata=") as caught:
        filled = inpaint(image, GAP)
    assert len(caught) == 1
    assert f"values of {np.float32(number)!s}, " in str(caught[0].message)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(filled[~GAP], image[~GAP])
    assert abs(filled - inpaint(HEIGHTS, GAP))[GAP].max() < 0.25 * np.ptp(HEIGHTS)
    np.testing.assert_array_equal(inpaint(image, GAP, nodata=number), filled)


def test_absurd_values_of_two_channels_are_one_warning():
    image = np.dstack([HEIGHTS, HEIGHTS, HEIGHTS[::-1]])
    image[46:48, 30:40, 0] = -9999
    image[46:48, 30:40, 2] = 1e30
    with pytest.warns(UserWarning, match="40 known values of -9999.0, 1e[+]30") as caught:
        filled = inpaint(image, GAP)
    assert len(caught) == 1
    assert 0 < filled[GAP].min() < filled[GAP].max() < 500


def noisy_wall(outlier, kind):
    "A wall of small noise with an outlier beside the gap."
    image = (100 + np.random.default_rng(0).integers(0, 5, (SIDE, SIDE))).astype(kind)
    image[48, 40] = outlier
    return image


@pytest.mark.parametrize(
    "image",
    [
        noisy_wall(255, np.uint8),  # the numbers of 8 bits are colours
        noisy_wall(143, np.uint16),  # not ten times the range
        np.where(COLUMNS == 40 / SIDE, 1, noisy_wall(104, np.uint16) / 1e3),  # colours as well
        np.where(SHEAR, 1.0, -9999.0),  # two values have no range without one of them
        PHOTO > 99,
    ],
    ids=["8 bits", "not so far", "from 0 to 1", "two values", "bool"],
)
def test_what_is_not_absurd_is_used(image):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inpaint(image, GAP)


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
def test_a_number_for_no_data_is_kept_and_not_used(kind):
    "Its value does not matter, nor does it matter to channels that do not hold it."
    image = np.dstack([PHOTO, PHOTO[::-1, :, 0]]).astype(kind)
    fills = []
    for number in (-1, -9999):
        given = image.copy()
        given[40:50, 30:60, 3] = number
        filled = inpaint(given, GAP, nodata=number)
        np.testing.assert_array_equal(filled[~GAP], given[~GAP])
        fills.append(filled[GAP])
    np.testing.assert_array_equal(*fills)
    np.testing.assert_array_equal(fills[0][:, :3], inpaint(image, GAP)[GAP][:, :3])
    assert error(fills[0][:, 3], image[GAP][:, 3], ...) < 60


def test_nan_may_mean_no_data():
    image = HEIGHTS.copy()
    image[46:50, 30:40] = -9999
    expected = inpaint(image, GAP, nodata=-9999)
    image[46:50, 30:40] = np.nan
    np.testing.assert_array_equal(inpaint(image, GAP, nodata=np.nan)[GAP], expected[GAP])


def test_a_hole_in_a_sea_of_no_data_is_filled_from_its_shore():
    image = np.full((SIDE, SIDE), -9999, np.float32)
    image[:, :30] = 5
    image[2, 2] = 6
    gap = np.zeros((SIDE, SIDE), bool)
    gap[40:50, 70:80] = True
    np.testing.assert_array_equal(inpaint(image, gap, nodata=-9999)[gap], 5)


@pytest.mark.parametrize("number", [300, -1, 0.5, np.nan, 1e300, np.float32(7.5)])
def test_a_number_that_the_image_cannot_hold_equals_nothing(number):
    np.testing.assert_array_equal(inpaint(PHOTO, DOTS, nodata=number), inpaint(PHOTO, DOTS))


BAD_NODATA = [
    (TypeError, "nodata='0' has type str", "0"),
    (TypeError, "nodata=True has type bool", True),
    (TypeError, "nodata=[0] has type list", [0]),
    (ValueError, "nodata=inf must be finite", np.inf),
]


@pytest.mark.parametrize("kind, message, nodata", BAD_NODATA)
def test_a_wrong_nodata_is_named(kind, message, nodata):
    with pytest.raises(kind) as caught:
        inpaint(PHOTO, DOTS, nodata=nodata)
    assert message in str(caught.value)


def test_no_data_everywhere_is_refused():
    with pytest.raises(ValueError, match="no known pixel of channel 1 may be used"):
        inpaint(np.dstack([PHOTO, 0 * PHOTO])[..., [0, 3]].astype(np.int16), DOTS, nodata=0)


# No mask


def test_without_a_mask_nan_is_missing():
    image = np.dstack([HEIGHTS, HEIGHTS[::-1]])
    given = image.copy()
    given[DOTS, 1] = np.nan
    np.testing.assert_array_equal(inpaint(given)[DOTS], inpaint(image, DOTS)[DOTS])


@pytest.mark.parametrize("kind, number", [(np.uint8, 0), (np.int32, -9999), (np.float32, 0.1)])
def test_without_a_mask_no_data_is_missing(kind, number):
    image = (PHOTO // 2 + 1).astype(kind)
    given = image.copy()
    given[DOTS, 0] = number
    np.testing.assert_array_equal(inpaint(given, nodata=number)[DOTS], inpaint(image, DOTS)[DOTS])
    assert (inpaint(given, nodata=number)[~DOTS] == given[~DOTS]).all()


NO_MASK = [
    ("mask=None needs a float image with NaN, or nodata=", PHOTO, None),
    ("no pixel of image is NaN", PHOTO / 255, None),
    ("no pixel of image is 300", PHOTO, 300),
    ("every pixel of image is missing", PHOTO * np.nan, None),
]


@pytest.mark.parametrize("message, image, nodata", NO_MASK)
def test_what_no_mask_cannot_mean_is_named(message, image, nodata):
    with pytest.raises(ValueError) as caught:
        inpaint(image, nodata=nodata)
    assert message in str(caught.value)


def test_masks_may_have_an_axis_of_one_channel():
    np.testing.assert_array_equal(inpaint(PHOTO, DOTS[..., None]), inpaint(PHOTO, DOTS))


def test_a_turned_mask_is_named():
    with pytest.raises(ValueError, match="may have been turned, as EXIF orientation does"):
        inpaint(PHOTO[:50], DOTS[:, :50])


# Opacity


DISC = np.hypot(ROWS - 0.5, COLUMNS - 0.5) < 0.35


@pytest.mark.parametrize("kind, most", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_opaque_stays_opaque(kind, most):
    colours = (PHOTO / 255 * most).astype(kind)
    rgba = np.dstack([colours, np.full((SIDE, SIDE), most, kind)])
    for alpha in (False, True):
        filled = inpaint(rgba, DOTS, alpha=alpha)
        assert (filled[..., 3] == most).all()
        np.testing.assert_array_equal(filled[..., :3], inpaint(colours, DOTS))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_colours_of_transparent_pixels_do_not_bleed(mask):
    "Whatever they are, nothing changes where the result is not transparent."
    fills = []
    for hidden in ([255, 0, 255], [0, 255, 0]):
        colours = np.where(DISC[..., None], PHOTO, np.uint8(hidden))
        rgba = np.dstack([colours, np.uint8(255 * DISC)])
        filled = inpaint(rgba, mask, alpha=True)
        np.testing.assert_array_equal(filled[~mask], rgba[~mask])
        fills.append(filled)
    np.testing.assert_array_equal(fills[0][mask], fills[1][mask])


def test_all_transparent_stays_transparent():
    rgba = np.dstack([PHOTO, np.zeros((SIDE, SIDE), np.uint8)])
    np.testing.assert_array_equal(inpaint(rgba, DOTS, alpha=True), inpaint(rgba, DOTS))
    assert not inpaint(rgba, DOTS, alpha=True)[..., 3].any()


def test_the_colour_beside_a_transparent_one_is_the_opaque_one():
    "A red disc on a transparent ground whose colour is green."
    colours = np.where(DISC[..., None], np.float32([1, 0, 0]), np.float32([0, 1, 0]))
    filled = inpaint(np.dstack([colours, np.float32(DISC)]), DOTS, alpha=True)[DOTS]
    assert filled[:, 1].max() < 1e-6
    assert filled[filled[:, 3] > 0.1, 0].min() > 0.8


@pytest.mark.parametrize("image", [PHOTO[..., 0], PHOTO[..., :1]], ids=["gray", "one channel"])
def test_an_opacity_needs_a_colour(image):
    with pytest.raises(ValueError, match="alpha=True takes the last channel"):
        inpaint(image, DOTS, alpha=True)


# Ranges


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_beside_edges_the_range_is_left_by_little(mask):
    "Two levels: beyond them there is nothing to interpolate."
    levels = np.where(SHEAR, 30.0, -20.0)
    filled = inpaint(levels, mask)
    assert filled.min() >= -20 - 2.5 - 1e-5
    assert filled.max() <= 30 + 2.5 + 1e-5


def test_a_summit_in_the_hole_is_not_cut_off():
    hill = 10 * np.exp(-((ROWS - 0.5) ** 2 + (COLUMNS - 0.5) ** 2) / 0.04) - 20
    summit = np.zeros((SIDE, SIDE), bool)
    summit[40:56, 40:56] = True
    near = ndimage.maximum_filter(summit, 11) & ~summit
    held = np.clip(hill, hill[near].min(), hill[near].max())
    assert error(inpaint(hill, summit), hill, summit) < error(held, hill, summit) / 2


@pytest.mark.parametrize("kind, most", [(np.float64, 1.7e308), (np.float32, 3.4e38)])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_range_that_overflows_gives_numbers(kind, most, alpha):
    rng = np.random.default_rng(0)
    image = np.where(rng.random((20, 20, 3)) < 0.5, -most, most).astype(kind)
    if alpha:
        image[..., 2] = rng.random((20, 20))
    mask = rng.random((20, 20)) < 0.3
    filled = inpaint(image, mask, alpha=alpha)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~mask], image[~mask])


HILLS = partial(ndimage.gaussian_filter, np.random.default_rng(3).normal(size=(SIDE, SIDE)))


@pytest.mark.parametrize("sigma", [4, 6])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_smooth_surfaces_are_not_corrected(sigma, mask):
    "There the surface that bends least is as good as may be."
    hills = HILLS(sigma)
    of_biharmonic = error(inpaint_biharmonic(hills, mask), hills, mask)
    assert error(inpaint(hills, mask), hills, mask) < 1.1 * of_biharmonic


@pytest.mark.parametrize("side, n_places", [(256, 8), (2048, 64)])
def test_channels_of_a_large_picture_are_compared_at_more_places(monkeypatch, side, n_places):
    "A few of its blocks may be the only colourful ones."
    looked_at = []

    def detail(fill, known):
        looked_at.append(fill.shape)
        return fill, None

    monkeypatch.setattr(inpainting, "local_detail", detail)
    mask = np.zeros((side, side), bool)
    mask[::16, ::16] = True
    _likeness(np.ones((side, side, 2), np.float32), _hole([0, 1], mask), mask)
    assert len(looked_at) == n_places
