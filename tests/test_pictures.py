"Pictures of every layout go to the table of pixels and back."
import io
import struct
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from skimage.util import img_as_float32

from cadl_flax.pictures import Film, coordinates, pixels, psnr, read_image, render, _write_aside, shrink

SIDES = st.one_of(st.just(1), st.integers(1, 9))


@st.composite
def images(draw):
    "Gray, RGB, RGBA or any other number of channels; bool, uint8, uint16 or floats; down to 1 x 1."
    shape = (draw(SIDES), draw(SIDES), *draw(st.sampled_from([(), (1,), (2,), (3,), (4,)])))
    dtype = draw(st.sampled_from([np.bool_, np.uint8, np.uint16, np.float32, np.float64]))
    values = dict(elements=st.floats(0, 1, width=32)) if np.issubdtype(dtype, np.floating) else {}
    return draw(hnp.arrays(dtype, shape, **values))


def lookup(image):
    "The function that answers every place with the colour of the nearest pixel, found by distance and not by the formula under test."
    x, y = pixels(image)
    def nearest(places): return jnp.asarray(y)[((places[:, None] - jnp.asarray(x))**2).sum(-1).argmin(1)]
    return nearest


@settings(deadline=None, max_examples=60)
@given(images(), st.integers(1, 40))
def test_render_is_the_inverse_of_pixels(image, tile):
    h, w = image.shape[:2]
    x, y = pixels(image)
    assert x.dtype == y.dtype == np.float32 and x.shape == (h*w, 2) and len(y) == h*w
    assert np.abs(x).max() < 1 and ((0 <= y) & (y <= 1)).all()
    back = render(lookup(image), h, w, tile=tile)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, img_as_float32(image).reshape(h, w, -1))


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 4))
def test_places_do_not_depend_on_the_number_of_pixels(h, w, times):
    coarse = coordinates(h, w).reshape(h, w, 2)
    fine = coordinates(h*times, w*times).reshape(h, times, w, times, 2)
    np.testing.assert_allclose(fine.mean((1, 3)), coarse, atol=1e-6)


@settings(deadline=None)
@given(SIDES, SIDES)
def test_neighbours_are_equally_far_both_ways_and_the_frame_is_centred(h, w):
    x = coordinates(h, w).reshape(h, w, 2)
    np.testing.assert_allclose(np.diff(x[..., 0], axis=0), 2/max(h, w), atol=1e-6)
    np.testing.assert_allclose(np.diff(x[..., 1], axis=1), 2/max(h, w), atol=1e-6)
    np.testing.assert_allclose(x.mean((0, 1)), 0, atol=1e-6)


@pytest.mark.parametrize("window", [(-1, -1, 1, 1), (-.5, 0, .25, .75), (-3, -2, 2, 3)])
def test_a_window_is_where_it_says(window):
    x = coordinates(4, 6, window=window).reshape(4, 6, 2)
    assert np.allclose(x[0, 0], [window[0] + (window[2] - window[0])/8, window[1] + (window[3] - window[1])/12])
    assert np.allclose(x[-1, -1] + x[0, 0], [window[0] + window[2], window[1] + window[3]])


@settings(deadline=None, max_examples=30)
@given(images(), st.integers(1, 8))
def test_shrink_keeps_dtype_channels_and_aspect(image, size):
    small = shrink(image, size)
    h, w = image.shape[:2]
    assert small.dtype == image.dtype and small.shape[2:] == image.shape[2:]
    assert max(small.shape[:2]) == min(size, max(h, w))
    if max(h, w) > size: assert abs(small.shape[0] - h*size/max(h, w)) <= .5 or small.shape[0] == 1


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (4, 5, 3)), hnp.arrays(np.uint8, (4, 5, 3)))
def test_psnr_is_scikit_images(a, b):
    if (a == b).all(): assert psnr(a, b) == float("inf")
    else:
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)
        assert psnr((a/255).astype(np.float32), b) == psnr(a, b)


@pytest.mark.parametrize("mode, shape, dtype", [("L", (), np.uint8), ("RGB", (3,), np.uint8), ("RGBA", (4,), np.uint8), ("P", (3,), np.uint8),
                                                ("LA", (4,), np.uint8), ("1", (), np.uint8), ("CMYK", (3,), np.uint8), ("I;16", (), np.uint16)])
def test_files_of_every_mode_are_read(tmp_path, mode, shape, dtype):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8))
    image = Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7)*900) if mode == "I;16" else image.convert(mode)
    image.save(path := tmp_path/("x.tif" if mode == "CMYK" else "x.png"))
    read = read_image(path)
    assert read.shape == (5, 7, *shape) and read.dtype == dtype
    pixels(read)


def test_a_photo_on_its_side_is_turned_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path/"x.jpg", exif=exif)
    assert read_image(tmp_path/"x.jpg").shape == (8, 4, 3)


def declared(w, h):
    "A PNG that declares `w` by `h` pixels in a hundred bytes."
    def chunk(kind, body): return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("w, h", [(40_000, 40_000), (13_000, 13_200)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, w, h):
    (tmp_path/"bomb.png").write_bytes(declared(w, h))
    with pytest.raises(ValueError, match="too large"): read_image(tmp_path/"bomb.png")


def test_the_limit_is_ours_and_not_pillows(tmp_path):
    (tmp_path/"bomb.png").write_bytes(declared(13_000, 13_200))
    with pytest.raises(ValueError, match="it declares 13000 x 13200"): read_image(tmp_path/"bomb.png")


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_of_unknown_range_are_refused(tmp_path, mode):
    Image.fromarray(np.ones((3, 3), dict(F=np.float32, I=np.int32)[mode])).save(tmp_path/"x.tif")
    with pytest.raises(ValueError, match=f"x.tif.*mode {mode}"): read_image(tmp_path/"x.tif")


def test_big_endian_pictures_keep_their_levels(tmp_path):
    levels = np.arange(12, dtype=np.uint16).reshape(3, 4)*5000
    Image.frombytes("I;16B", (4, 3), levels.astype(">u2").tobytes()).save(tmp_path/"x.tif")
    np.testing.assert_array_equal(read_image(tmp_path/"x.tif"), levels)


@pytest.mark.parametrize("damage", [lambda b: b[:len(b)//2], lambda b: b[:60] + bytes(40) + b[100:], lambda b: b[:20], lambda b: b""])
def test_a_damaged_file_is_a_value_error(tmp_path, damage):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file := io.BytesIO(), format="PNG")
    (tmp_path/"x.png").write_bytes(damage(file.getvalue()))
    with pytest.raises(ValueError, match="x.png"): read_image(tmp_path/"x.png")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path/"film.gif"
    path.write_bytes(b"old")
    def half(file):
        file.write(b"half")
        raise RuntimeError("no more")
    with pytest.raises(RuntimeError): _write_aside(path, half)
    with pytest.raises(ValueError): Film([np.zeros((4, 4))], "black").save(path, colors=1)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_film_shows_a_still_to_those_who_ask_for_it():
    html = Film([np.zeros((4, 4, 3)), np.ones((4, 4, 3))], "black to white", width=40)._repr_html_()
    assert "prefers-reduced-motion" in html and 'alt="black to white"' in html and 'width="40"' in html


def test_a_film_of_one_frame_is_a_picture():
    html = Film([np.ones((4, 4, 3))], "white", width=40)._repr_html_()
    assert html.count("data:image/webp") == 1 and 'alt="white"' in html and 'width="40"' in html
