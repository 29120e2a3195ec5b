"A picture comes back as it came: its numbers, and what its file says of it."

import io
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import data

from cadl_flax import files, formats
from cadl_flax.files import Picture, read_image, read_picture, turn_upright
from cadl_flax.formats import format_of, is_own, save_image, save_picture, to_format
from cadl_flax.pictures import shrink

PHOTO = shrink(data.astronaut(), 48)[:40]
DEEP = PHOTO.astype(np.uint16) * 256 + 77
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}


def image_of(mode):
    "The photo in a mode of Pillow."
    if mode == "I;16":
        return Image.fromarray(DEEP[..., 0])
    if mode == "F":
        return Image.fromarray(PHOTO[..., 0].astype(np.float32) * 3 - 100)
    if mode == "P":
        return Image.fromarray(PHOTO).quantize(32)
    image = Image.fromarray(PHOTO).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(PHOTO[..., 0]))
    return image


ARRAYS = {
    "RGB16": dict(data=DEEP, photometric="rgb"),
    "4 bands": dict(data=np.dstack([PHOTO, PHOTO[..., 0]]), photometric="minisblack"),
    "int16": dict(data=PHOTO[..., 0].astype(np.int16) - 100),
    "6 deep bands": dict(data=np.dstack([DEEP, DEEP]), photometric="minisblack"),
}
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", *ARRAYS]


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0132] = "2020:01:02 03:04:05"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x829A] = 0.5  # the time of exposure
    return exif


def write(path, mode, kind):
    "Write the photo with a profile, EXIF, a resolution and an orientation; whether that is possible."
    described = dict(icc_profile=SRGB, exif=exif_of(6), dpi=(300, 300))
    if mode not in ARRAYS:
        try:
            image_of(mode).save(path, kind, **described)
        except (OSError, ValueError, KeyError):
            return False
        return True
    if kind == "TIFF":
        tags = [(274, "H", 1, 6, True), (34675, "B", len(SRGB), SRGB, True)]
        tags.append((306, "s", 0, "2020:01:02 03:04:05", True))
        options = dict(ARRAYS[mode], resolution=(300, 300), resolutionunit="INCH", extratags=tags)
        options["planarconfig"] = "contig" if options["data"].ndim == 3 else None
        tifffile.imwrite(path, metadata=None, **options)
        return True
    if kind == "PNG" and mode == "RGB16":
        path.write_bytes(imagecodecs.png_encode(DEEP))
        return True
    return False


def combinations():
    "The modes and formats that there are files of."
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        return [(mode, kind) for mode in MODES for kind in ENDINGS if write(path, mode, kind)]


COMBINATIONS = combinations()


def numbers_of(path, kind):
    "The numbers of a file by another reader, as they lie in it."
    if kind == "TIFF":
        return tifffile.imread(path)
    if kind == "PNG":
        return imagecodecs.png_decode(path.read_bytes())
    return imagecodecs.webp_decode(path.read_bytes()) if kind == "WEBP" else None


def described(picture):
    "What a file says, and how it may come back."
    exif = Image.Exif()
    exif.load(picture.exif or b"")
    exposure = exif.get_ifd(0x8769).get(0x829A)
    dpi = None if picture.dpi is None else tuple(round(n, 1) for n in picture.dpi)
    return dict(profile=picture.profile, date=exif.get(0x0132), exposure=exposure, dpi=dpi)


WORDS = {"profile": "profile", "date": "EXIF", "exposure": "EXIF", "dpi": "resolution"}


@pytest.mark.parametrize("to", ENDINGS)
@pytest.mark.parametrize("mode, kind", COMBINATIONS)
def test_a_picture_comes_back_as_it_came(tmp_path, mode, kind, to):
    source, target = tmp_path / f"x{ENDINGS[kind]}", tmp_path / f"y{ENDINGS[to]}"
    assert write(source, mode, kind)
    picture = read_picture(source)
    raw = numbers_of(source, kind)
    if picture.palette is None and kind != "JPEG":
        raw = raw > 0 if picture.pixels.dtype == bool else raw
        expected = np.rot90(raw, -1) if picture.orientation == 6 else raw
        np.testing.assert_array_equal(picture.pixels, expected)
    try:
        lost = " ".join(save_picture(picture, target))
    except ValueError as error:
        assert "write to a .tif" in str(error)
        assert picture.pixels.dtype not in (bool, np.uint8, np.uint16) or picture.kind == "bands"
        assert not target.exists()
        return
    back = read_picture(target)
    if to != "JPEG":
        assert_same_numbers(picture, back, lost)
    for what, value in described(picture).items():
        kept = described(back)[what] == value
        assert kept or WORDS[what] in lost or "CMYK" in lost, (what, value, described(back), lost)


def assert_same_numbers(picture, back, lost):
    "Look that no number changed but by a change that is said."
    if back.pixels.dtype != picture.pixels.dtype:
        assert "became 8" in lost
        return
    if back.kind != picture.kind:
        assert "became RGB" in lost or "became colours" in lost
        return
    np.testing.assert_array_equal(back.pixels, picture.pixels)
    if back.palette is not None:
        np.testing.assert_array_equal(back.indices, picture.indices)


def test_the_matrix_is_not_empty():
    assert len(COMBINATIONS) >= 28
    assert {mode for mode, _ in COMBINATIONS} == set(MODES)


# ------------------------------------------------------------------------------ colours


def gamma_profile():
    "sRGB with red and blue exchanged, so that whoever drops the profile sees other colours."
    profile = bytearray(SRGB)
    place = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[place[0] : place[0] + 4], profile[place[1] : place[1] + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("ending", ENDINGS.values())
def test_a_screen_shows_the_same_colours(tmp_path, ending):
    other, screen = gamma_profile(), ImageCms.createProfile("sRGB")
    given = Picture(PHOTO, "RGB", profile=other)
    save_picture(given, tmp_path / f"x{ending}")
    with Image.open(tmp_path / f"x{ending}") as image:
        own = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        shown = np.array(ImageCms.profileToProfile(image, own, screen))
    meant = ImageCms.ImageCmsProfile(io.BytesIO(other))
    right = np.array(ImageCms.profileToProfile(Image.fromarray(PHOTO), meant, screen))
    assert abs(shown.astype(int) - right).mean() < (3 if ending == ".jpg" else 0.01)
    assert abs(right.astype(int) - PHOTO).mean() > 10


def test_inks_become_colours_by_their_profile_or_without(tmp_path):
    inks = Picture(np.array(Image.fromarray(PHOTO).convert("CMYK")), "CMYK", profile=SRGB)
    lost = save_picture(inks, tmp_path / "x.png")  # a profile of RGB does not fit inks
    assert lost == ("CMYK became RGB without a profile of inks",)
    back = read_picture(tmp_path / "x.png")
    assert back.profile is None
    assert abs(back.pixels.astype(int) - PHOTO).max() <= 1


# ------------------------------------------------------------------------------ TIFF


@pytest.mark.parametrize("dtype", ["uint32", "int16", "int32", "float16", "float32", "float64"])
def test_numbers_of_any_type_pass_through_a_tiff(tmp_path, dtype):
    numbers = (np.arange(35).reshape(5, 7) * 100).astype(dtype) - np.array(7, dtype)
    tifffile.imwrite(tmp_path / "x.tif", numbers)
    picture = read_picture(tmp_path / "x.tif")
    np.testing.assert_array_equal(picture.pixels, numbers)
    save_picture(picture, tmp_path / "y.tif")
    back = tifffile.imread(tmp_path / "y.tif")
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, numbers)


MAP_TAGS = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (42113, "s", 0, "-9999", True),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_map_keeps_its_place_on_earth(tmp_path, dtype):
    heights = (np.arange(35).reshape(5, 7) % 100).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", heights, extratags=MAP_TAGS)
    picture = read_picture(tmp_path / "x.tif")
    assert picture.nodata == -9999
    save_picture(picture, tmp_path / "y.tif")
    with tifffile.TiffFile(tmp_path / "y.tif") as tiff:
        tags = tiff.pages[0].tags
        assert [tags[code].value for code, *_ in MAP_TAGS] == [tag[3] for tag in MAP_TAGS]


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "jpeg", None])
def test_compressed_tiffs_are_read(tmp_path, compression):
    deep = DEEP if compression != "jpeg" else PHOTO
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb", compression=compression)
    found = read_image(tmp_path / "x.tif")
    assert found.dtype == deep.dtype
    assert abs(found.astype(int) - deep).mean() < (8 if compression == "jpeg" else 1e-9)


def test_white_may_be_zero(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", PHOTO[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), 255 - PHOTO[..., 0])
    deep = DEEP[..., 0]
    tifffile.imwrite(tmp_path / "y.tif", deep, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "y.tif"), 65535 - deep)


def test_planes_may_lie_one_after_the_other(tmp_path):
    planes = np.moveaxis(DEEP, -1, 0)
    tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), DEEP)


def test_colours_that_were_multiplied_by_opacity_are_divided(tmp_path):
    alpha = np.full(PHOTO.shape[:2], 30000, np.uint16)
    alpha[:9] = 0
    multiplied = np.rint(DEEP * (alpha[..., None] / 65535)).astype(np.uint16)
    options = dict(photometric="rgb", extrasamples=["assocalpha"])
    tifffile.imwrite(tmp_path / "x.tif", np.dstack([multiplied, alpha]), **options)
    picture = read_picture(tmp_path / "x.tif")
    assert "multiplied" in picture.notes[0]
    assert abs(picture.pixels[9:, :, :3].astype(int) - DEEP[9:]).max() <= 2
    assert (picture.pixels[:9, :, :3] == 0).all()


def test_a_large_tiff_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_LARGEST_CLASSIC_TIFF", 100)
    for pixels, kind in ((PHOTO, "RGB"), (DEEP, "RGB"), (DEEP[..., 0], "gray")):
        save_picture(Picture(pixels, kind), tmp_path / "x.tif")
        with tifffile.TiffFile(tmp_path / "x.tif") as tiff:
            assert tiff.is_bigtiff
        np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), pixels)


# ------------------------------------------------------------------------------ PNG


def test_deep_colours_keep_what_their_file_says(tmp_path):
    given = Picture(DEEP, "RGB", profile=SRGB, dpi=(300.0, 200.0), text={"Title": "Süß"})
    given = Picture(**vars(given) | dict(exif=exif_of(1).tobytes(), xmp=b"<x:xmpmeta/>"))
    assert save_picture(given, tmp_path / "x.png") == ()
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "x.png").read_bytes()), DEEP)
    back = read_picture(tmp_path / "x.png")
    assert back.profile == SRGB
    assert back.text == {"Title": "Süß", "Software": "cadl_flax"}
    assert back.xmp == b"<x:xmpmeta/>"
    np.testing.assert_allclose(back.dpi, (300, 200), atol=0.02)
    with Image.open(tmp_path / "x.png") as image:
        image.load()  # Pillow finds no wrong checksum


@pytest.mark.parametrize("channels", [2, 4])
def test_deep_opacity_comes_back(tmp_path, channels):
    pixels = np.dstack([DEEP, DEEP[..., :1]])[..., -channels:]
    save_picture(Picture(pixels, files._KINDS_OF_PNG[channels]), tmp_path / "x.png")
    back = read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.kind == files._KINDS_OF_PNG[channels]


def test_gamma_is_kept_where_it_can_be(tmp_path):
    given = Picture(PHOTO, "RGB", gamma=0.5)
    assert save_picture(given, tmp_path / "x.png") == ()
    assert read_picture(tmp_path / "x.png").gamma == 0.5
    assert "its gamma" in save_picture(given, tmp_path / "x.webp")


def test_a_transparent_colour_is_opacity(tmp_path):
    image = Image.fromarray(PHOTO)
    image.save(tmp_path / "x.png", transparency=tuple(int(c) for c in PHOTO[3, 4]))
    picture = read_picture(tmp_path / "x.png")
    assert picture.kind == "RGBA"
    assert (picture.pixels[..., 3] == 0)[3, 4]
    np.testing.assert_array_equal(picture.pixels[..., :3], PHOTO)


# ------------------------------------------------------------------------------ palettes


def test_what_a_palette_has_not_gets_its_nearest_colour(tmp_path):
    image = Image.fromarray(PHOTO).quantize(16)
    image.save(tmp_path / "x.png")
    picture = read_picture(tmp_path / "x.png")
    changed = picture.pixels.copy()
    changed[:5] = np.clip(changed[:5].astype(int) + 40, 0, 255)
    save_picture(Picture(**vars(picture) | dict(pixels=changed)), tmp_path / "y.png")
    back = read_picture(tmp_path / "y.png")
    np.testing.assert_array_equal(back.indices[5:], picture.indices[5:])
    used = picture.palette[np.unique(picture.indices[5:]), :3].astype(int)
    distances = ((changed[:5, :, None].astype(int) - used) ** 2).sum(-1)
    own = ((back.pixels[:5].astype(int) - changed[:5]) ** 2).sum(-1)
    np.testing.assert_array_equal(own, distances.min(-1))


def test_an_entry_of_a_palette_that_no_pixel_has_stays_unused(tmp_path):
    "It may be meant for something else, whatever its colour."
    image = Image.fromarray(np.uint8([[1, 1, 3], [3, 1, 3]]), mode="P")
    image.putpalette([0, 0, 0, 200, 0, 0, 90, 90, 90, 0, 0, 200])
    image.save(tmp_path / "x.png")
    picture = read_picture(tmp_path / "x.png")
    changed = picture.pixels.copy()
    changed[0, 0] = 90  # as the entry that is not used
    changed[1, 0] = [0, 10, 180]
    save_picture(Picture(**vars(picture) | dict(pixels=changed)), tmp_path / "y.png")
    back = read_picture(tmp_path / "y.png").indices
    assert back[0, 0] in (1, 3)
    np.testing.assert_array_equal(back.ravel()[1:], [1, 3, 3, 1, 3])


def test_equal_entries_of_a_palette_stay_apart(tmp_path):
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(indices)
    image.putpalette(bytes([9, 9, 9] * 6 + [200, 0, 0] * 6))
    image.save(tmp_path / "x.png")
    save_picture(read_picture(tmp_path / "x.png"), tmp_path / "y.png")
    with Image.open(tmp_path / "y.png") as back:
        np.testing.assert_array_equal(np.array(back), indices)


# ------------------------------------------------------------------------------ turning


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_photo_is_turned_once(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = dict(lossless=True) if kind == "WEBP" else {}
    Image.fromarray(PHOTO).save(tmp_path / "x", kind, exif=exif, **options)
    picture = read_picture(tmp_path / "x")
    right = turn_upright(PHOTO, orientation)
    assert abs(picture.pixels.astype(int) - right).mean() < (9 if kind == "JPEG" else 1e-9)
    assert picture.orientation == orientation
    assert picture.shape_in_file == PHOTO.shape[:2]
    for ending in ENDINGS.values():
        save_picture(picture, tmp_path / f"y{ending}")
        back = read_picture(tmp_path / f"y{ending}")
        assert back.orientation == 1
        assert back.pixels.shape == right.shape


def test_xmp_does_not_turn_it_again(tmp_path):
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" a="6"/></x:xmpmeta>'
    Image.fromarray(PHOTO).save(tmp_path / "x.jpg", xmp=xmp)
    picture = read_picture(tmp_path / "x.jpg")
    assert picture.orientation == 6
    assert picture.xmp == xmp.replace(b'Orientation="6"', b'Orientation="1"')


def test_the_thumbnail_is_left_out(tmp_path):
    thumbnail = io.BytesIO()
    Image.fromarray(PHOTO).save(thumbnail, "JPEG")
    exif = exif_of(1)
    exif.get_ifd(1).update({513: 0, 514: len(thumbnail.getvalue())})
    content = exif.tobytes() + thumbnail.getvalue()
    Image.fromarray(PHOTO).save(tmp_path / "x.jpg", exif=content)
    assert thumbnail.getvalue()[:20] in (tmp_path / "x.jpg").read_bytes()[100:]
    save_picture(read_picture(tmp_path / "x.jpg"), tmp_path / "y.jpg")
    assert thumbnail.getvalue()[:20] not in (tmp_path / "y.jpg").read_bytes()[100:]


# ------------------------------------------------------------------------------ what is refused


REFUSED = [
    (Picture(np.zeros((3, 3), np.float32), "gray"), "PNG", "float32 numbers"),
    (Picture(np.zeros((3, 3), np.int16), "gray"), "JPEG", "int16 numbers"),
    (Picture(np.zeros((3, 3, 5), np.uint8), "bands"), "WebP", "5 bands of uint8"),
    (Picture(np.zeros((3, 3, 4), np.uint16), "CMYK"), "PNG", "CMYK of uint16"),
    (Picture(np.zeros((1, 17_000), np.uint8), "gray"), "WebP", "16,383"),
    (Picture(np.zeros((1, 66_000), np.uint8), "gray"), "JPEG", "65,535"),
]


@pytest.mark.parametrize("picture, format, words", REFUSED)
def test_what_a_format_cannot_hold_is_refused_before_a_file_is_touched(
    tmp_path, picture, format, words
):
    with pytest.raises(ValueError, match=words):
        to_format(picture, format)
    target = tmp_path / f"x{ENDINGS[format.upper()]}"
    target.write_text("older")
    with pytest.raises(ValueError, match=words):
        save_picture(picture, target)
    assert target.read_text() == "older"
    assert to_format(picture, "TIFF") is picture


def test_a_name_must_say_a_format():
    with pytest.raises(ValueError, match=r"x\.bmp must end in \.png, \.jpg"):
        format_of("x.bmp")


def heic(brand=b"heic"):
    return struct.pack(">I4s4sI", 24, b"ftyp", brand, 0) + b"mif1heic" + bytes(200)


def test_a_heic_says_so_where_nothing_reads_it(tmp_path, monkeypatch):
    (tmp_path / "x.jpg").write_bytes(heic())
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ValueError, match=r"HEIC.*pip install 'cadl_flax\[heic\]'"):
        read_image(tmp_path / "x.jpg")


def test_a_heic_is_read_where_something_does(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    photo = shrink(data.astronaut(), 128)
    pillow_heif.from_pillow(Image.fromarray(photo)).save(tmp_path / "x.heic", quality=95)
    assert abs(read_image(tmp_path / "x.heic").astype(int) - photo).mean() < 5


def test_avif_is_read(tmp_path):
    photo = shrink(data.astronaut(), 128)
    Image.fromarray(photo).save(tmp_path / "x.avif", quality=95)
    picture = read_picture(tmp_path / "x.avif")
    assert picture.is_lossy
    assert abs(picture.pixels.astype(int) - photo).mean() < 5


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_pictures_the_first_is_taken_and_said(tmp_path, kind):
    frames = [Image.fromarray(np.roll(PHOTO, i, 0)) for i in range(3)]
    frames[0].save(tmp_path / "x", kind, save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "x")
    assert picture.notes == ("the first of 3 pictures",)
    assert picture.pixels.shape[:2] == PHOTO.shape[:2]


def test_several_deep_pages_are_said_too(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([DEEP] * 3), photometric="rgb")
    assert read_picture(tmp_path / "x.tif").notes == ("the first of 3 pictures",)


def test_damaged_exif_is_left_out_and_said(tmp_path, monkeypatch):
    def damaged(image):
        raise struct.error("unpack requires a buffer of 2 bytes")

    Image.fromarray(PHOTO).save(tmp_path / "x.png")
    monkeypatch.setattr(Image.Image, "getexif", damaged)
    picture = read_picture(tmp_path / "x.png")
    np.testing.assert_array_equal(picture.pixels, PHOTO)
    assert picture.exif is None
    assert picture.notes == ("its EXIF data are damaged, and left out",)


def test_full_opacity_is_no_opacity_to_a_webp(tmp_path):
    opaque = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    lost = save_picture(Picture(opaque, "RGBA"), tmp_path / "x.webp")
    assert lost == ("its opacity, which is full everywhere",)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.webp").pixels, PHOTO)


# ------------------------------------------------------------------------------ hostile files


TAG_TYPES = {"H": 3, "I": 4}


def with_tags(content, tags):
    "A little-endian TIFF whose first page has other values: by code a type and a number."
    content = bytearray(content)
    (place,) = struct.unpack_from("<I", content, 4)
    (n_entries,) = struct.unpack_from("<H", content, place)
    for entry in range(place + 2, place + 2 + 12 * n_entries, 12):
        (code,) = struct.unpack_from("<H", content, entry)
        if code in tags:
            kind, number = tags[code]
            struct.pack_into("<HI", content, entry + 2, TAG_TYPES[kind], 1)
            struct.pack_into("<" + kind, content, entry + 8, number)
    return bytes(content)


def tiff_of(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, **options)
    return out.getvalue()


def peak_above(read):
    "The most bytes that Python and NumPy held at once while `read()` failed, and its error."
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as error:
            read()
        return tracemalloc.get_traced_memory()[1], str(error.value)
    finally:
        tracemalloc.stop()


def test_many_bands_count_as_many_pixels(tmp_path):
    path = tmp_path / "x.tif"
    bands = np.zeros((1, 1, 4000), np.float64)
    options = dict(photometric="minisblack", planarconfig="contig")
    sides = {256: ("I", 400), 257: ("I", 400), 278: ("I", 400)}
    path.write_bytes(with_tags(tiff_of(bands, **options), sides))
    peak, line = peak_above(lambda: read_picture(path))
    assert line.endswith("declares 400 x 400 pixels of 32000 bytes each (at most 170,000,000)")
    assert peak < 2e7


def test_a_tile_is_not_larger_than_a_picture_may_be(tmp_path):
    path = tmp_path / "x.tif"
    tiles = tiff_of(DEEP, photometric="rgb", tile=(16, 16), compression="zlib")
    path.write_bytes(with_tags(tiles, {322: ("I", 2**31 - 16)}))
    peak, line = peak_above(lambda: read_picture(path))
    assert "2147483632 x 16 pixels of 6 bytes" in line
    assert peak < 2e7


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_no_more_is_read_than_a_file_has(tmp_path, compression):
    "Python makes room for all bytes that are asked for, before it reads any."
    path = tmp_path / "x.tif"
    whole = tiff_of(DEEP[..., 0].astype(np.int16), compression=compression)
    path.write_bytes(with_tags(whole, {279: ("I", 2**31 - 1)}))
    tracemalloc.start()
    try:
        read_picture(path)
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2e7


def test_a_picture_has_pixels(tmp_path):
    path = tmp_path / "x.tif"
    path.write_bytes(with_tags(tiff_of(PHOTO, photometric="rgb"), {257: ("I", 0)}))
    with pytest.raises(ValueError, match="damaged"):
        read_picture(path)


def test_a_second_page_that_is_damaged_does_not_take_the_first(tmp_path):
    out = io.BytesIO()
    Image.fromarray(PHOTO).save(out, "TIFF")
    content = bytearray(out.getvalue())
    (place,) = struct.unpack_from("<I", content, 4)
    (n_entries,) = struct.unpack_from("<H", content, place)
    struct.pack_into("<I", content, place + 2 + 12 * n_entries, len(content))
    content += struct.pack("<HHHIII", 1, 256, 3, 1, 4, 0)  # a page that is 4 wide, and no more
    (tmp_path / "x.tif").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), PHOTO)


def test_pages_in_a_circle_are_counted_once(tmp_path):
    for name, pixels in (("x.tif", PHOTO), ("y.tif", DEEP)):
        content = bytearray(tiff_of(pixels, photometric="rgb"))
        (place,) = struct.unpack_from("<I", content, 4)
        (n_entries,) = struct.unpack_from("<H", content, place)
        struct.pack_into("<I", content, place + 2 + 12 * n_entries, place)
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_image(tmp_path / name), pixels)


COMPRESSED = [("tiff_lzw", "RGB"), ("tiff_deflate", "L"), ("jpeg", "RGB"), ("packbits", "P")]


@pytest.mark.parametrize("compression, mode", COMPRESSED)
@pytest.mark.parametrize("place", [300, 600])
def test_libraries_print_nothing(tmp_path, capfd, compression, mode, place):
    "libtiff prints on stderr what is wrong with a file, and so do the loggers of others."
    path = tmp_path / "x.tif"
    Image.fromarray(PHOTO).convert(mode).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[place : place + 40] = b"\xff" * 40
    path.write_bytes(content)
    try:
        read_picture(path)
    except ValueError as error:
        assert "damaged" in str(error)
    deep = tmp_path / "x.png"
    content = bytearray(imagecodecs.png_encode(DEEP))
    content[-20] ^= 255  # the checksum of its pixels
    deep.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_picture(deep)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg", "tiff_deflate"])
def test_compressed_tiffs_are_as_pillow_reads_them(tmp_path, mode, compression):
    path = tmp_path / "x.tif"
    image = Image.fromarray(PHOTO).convert("RGB")
    image = image.quantize(99) if mode == "P" else image.convert(mode)
    if compression == "jpeg" and mode in ("1", "P", "LAB"):
        pytest.skip("there is no such TIFF")
    image.save(path, compression=compression, tiffinfo={274: 6})
    picture = read_picture(path)
    with Image.open(path) as other:
        colours = np.array(other if mode not in ("P", "LAB") else other.convert("RGB"))
    np.testing.assert_array_equal(picture.pixels, colours)
    assert (picture.palette is not None) == (mode == "P")
    assert picture.orientation == 6


def packed(levels, bits):
    "Rows of small numbers as bytes."
    shifts = np.arange(8 - bits, -1, -bits)
    return (levels.reshape(len(levels), -1, 8 // bits) << shifts).sum(-1).astype(np.uint8)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_few_levels_are_spread_over_all(tmp_path, bits, photometric, compression):
    path = tmp_path / "x.tif"
    levels = (np.arange(16 * 16).reshape(16, 16) // 5 % 2**bits).astype(np.uint8)
    as_bytes = tiff_of(packed(levels, bits), compression=compression, photometric="minisblack")
    tags = {256: ("I", 16), 258: ("H", bits), 262: ("H", photometric)}
    path.write_bytes(with_tags(as_bytes, tags))
    spread = levels * np.uint8(255 // (2**bits - 1))
    np.testing.assert_array_equal(read_image(path), spread if photometric else 255 - spread)


def test_bits_in_three_channels_are_levels(tmp_path):
    path = tmp_path / "x.tif"
    bits = np.zeros((8, 8, 3), bool)
    bits[2:, :4] = True
    tifffile.imwrite(path, np.moveaxis(bits, -1, 0), photometric="rgb", planarconfig="separate")
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, bits * np.uint8(255))
    save_picture(picture, tmp_path / "y.png")


def test_an_error_is_one_line(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("two\nlines")

    monkeypatch.setattr(files, "_decode", fail)
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(ValueError, match="x is a damaged picture: two lines$"):
        read_picture(tmp_path / "x")


def test_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path / "pipe", tmp_path / "link", "/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match="a device or a pipe"):
            read_picture(path)
    Image.fromarray(PHOTO).save(tmp_path / "x.png")
    (tmp_path / "way").symlink_to("x.png")
    with open(tmp_path / "x.png", "rb") as file:
        for source in (tmp_path / "way", file, io.BytesIO((tmp_path / "x.png").read_bytes())):
            np.testing.assert_array_equal(read_picture(source).pixels, PHOTO)
    with pytest.raises(IsADirectoryError):
        read_picture(tmp_path)


# ------------------------------------------------------------------------------ whose file it is


def test_its_own_files_are_known(tmp_path):
    for ending in (".png", ".jpg", ".tif"):
        save_image(PHOTO, tmp_path / f"x{ending}")
        assert is_own(tmp_path / f"x{ending}")
        Image.fromarray(PHOTO).save(tmp_path / f"y{ending}")
        assert not is_own(tmp_path / f"y{ending}")
    (tmp_path / "z.png").write_text("notes")
    (tmp_path / "z.safetensors").write_text("notes")
    assert not is_own(tmp_path / "z.png")
    assert not is_own(tmp_path / "z.safetensors")


def test_a_pipe_is_not_its_own_and_nobody_waits_for_it(tmp_path):
    for name in ("pipe.png", "pipe.safetensors"):
        os.mkfifo(tmp_path / name)
        assert not is_own(tmp_path / name)


def test_whose_it_is_is_asked_in_silence(tmp_path, capfd):
    content = bytearray(tiff_of(PHOTO, photometric="rgb"))
    content[4:8] = struct.pack("<I", len(content) - 7)  # a directory of nonsense
    (tmp_path / "x.tif").write_bytes(content)
    assert not is_own(tmp_path / "x.tif")
    large = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(large, "PNG")  # of which Pillow warns
    (tmp_path / "x.png").write_bytes(large.getvalue())
    assert not is_own(tmp_path / "x.png")
    assert capfd.readouterr() == ("", "")


def test_deep_and_odd_files_are_known_too(tmp_path):
    for pixels, kind in ((DEEP, "RGB"), (DEEP.astype(np.float64)[..., 0], "gray")):
        save_picture(Picture(pixels, kind), tmp_path / "x.tif")
        assert is_own(tmp_path / "x.tif")


def test_a_camera_that_signed_it_is_left_in_place(tmp_path):
    exif = Image.Exif()
    exif[305] = "Camera 1.0"
    given = Picture(PHOTO, "RGB", exif=exif.tobytes(), text={"Software": "Camera 1.0"})
    for ending in (".png", ".jpg", ".tif"):
        save_picture(given, tmp_path / f"x{ending}")
        with Image.open(tmp_path / f"x{ending}") as image:
            assert image.getexif()[305] == "Camera 1.0"
