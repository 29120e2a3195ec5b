"Pictures of every layout go to the table of pixels and back."

import io
import struct
import time
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from skimage.util import img_as_float32

from cadl_flax.files import read_image, write_atomically
from cadl_flax.films import Film
from cadl_flax.pictures import to_dtype, coordinates, pixels, psnr, render, shrink

SIDES = st.one_of(st.just(1), st.integers(1, 9))


CHANNELS = [(), (1,), (2,), (3,), (4,)]
DTYPES = [np.bool_, np.uint8, np.uint16, np.float32, np.float64]


@st.composite
def images(draw):
    "Gray, RGB, RGBA or any other number of channels; bool, uint8, uint16 or floats; down to 1 x 1."
    shape = (draw(SIDES), draw(SIDES), *draw(st.sampled_from(CHANNELS)))
    dtype = draw(st.sampled_from(DTYPES))
    if np.issubdtype(dtype, np.floating):
        return draw(hnp.arrays(dtype, shape, elements=st.floats(0, 1, width=32)))
    return draw(hnp.arrays(dtype, shape))


def lookup(image):
    """A function from places to the colours of the nearest pixels.

    It finds them by distance, not by the formula under test."""
    x, y = map(jnp.asarray, pixels(image))

    def nearest(places):
        squared_distances = ((places[:, None] - x) ** 2).sum(-1)
        return y[squared_distances.argmin(1)]

    return nearest


@settings(deadline=None, max_examples=60)
@given(images(), st.integers(1, 40))
def test_render_is_the_inverse_of_pixels(image, batch_size):
    h, w = image.shape[:2]
    back = render(lookup(image), h, w, batch_size=batch_size)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, img_as_float32(image).reshape(h, w, -1))


@settings(deadline=None, max_examples=60)
@given(images())
def test_pixels_are_places_and_colours_in_range(image):
    h, w = image.shape[:2]
    x, y = pixels(image)
    assert x.dtype == y.dtype == np.float32
    assert x.shape == (h * w, 2)
    assert len(y) == h * w
    assert np.abs(x).max() < 1
    assert ((0 <= y) & (y <= 1)).all()


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 4))
def test_places_do_not_depend_on_the_number_of_pixels(h, w, times):
    coarse = coordinates(h, w).reshape(h, w, 2)
    fine = coordinates(h * times, w * times).reshape(h, times, w, times, 2)
    np.testing.assert_allclose(fine.mean((1, 3)), coarse, atol=1e-6)


@settings(deadline=None)
@given(SIDES, SIDES)
def test_neighbours_are_equally_far_both_ways_and_the_frame_is_centred(h, w):
    x = coordinates(h, w).reshape(h, w, 2)
    np.testing.assert_allclose(np.diff(x[..., 0], axis=0), 2 / max(h, w), atol=1e-6)
    np.testing.assert_allclose(np.diff(x[..., 1], axis=1), 2 / max(h, w), atol=1e-6)
    np.testing.assert_allclose(x.mean((0, 1)), 0, atol=1e-6)


@pytest.mark.parametrize("window", [(-1, -1, 1, 1), (-0.5, 0, 0.25, 0.75), (-3, -2, 2, 3)])
def test_a_window_is_where_it_says(window):
    top, left, bottom, right = window
    x = coordinates(4, 6, window=window).reshape(4, 6, 2)
    # the centre of the first of four rows and of six columns
    first = [top + (bottom - top) / 8, left + (right - left) / 12]
    assert np.allclose(x[0, 0], first)
    assert np.allclose(x[-1, -1] + x[0, 0], [top + bottom, left + right])


@settings(deadline=None, max_examples=30)
@given(images(), st.integers(1, 8))
def test_shrink_keeps_dtype_channels_and_aspect(image, size):
    small = shrink(image, size)
    h, w = image.shape[:2]
    longest = max(h, w)
    assert small.dtype == image.dtype
    assert small.shape[2:] == image.shape[2:]
    assert max(small.shape[:2]) == min(size, longest)
    if longest > size:
        assert abs(small.shape[0] - h * size / longest) <= 0.5 or small.shape[0] == 1


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (4, 5, 3)), hnp.arrays(np.uint8, (4, 5, 3)))
def test_psnr_is_scikit_images(a, b):
    if (a == b).all():
        assert psnr(a, b) == float("inf")
    else:
        assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-9)
        assert psnr((a / 255).astype(np.float32), b) == psnr(a, b)


def picture_of(mode):
    "A picture of 5 by 7 pixels in a mode of Pillow."
    if mode == "I;16":
        return Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 900)
    noise = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize(
    "mode, name, channels, dtype",
    [
        ("L", "x.png", (), np.uint8),
        ("RGB", "x.png", (3,), np.uint8),
        ("RGBA", "x.png", (4,), np.uint8),
        ("P", "x.png", (3,), np.uint8),
        ("LA", "x.png", (4,), np.uint8),
        ("1", "x.png", (), np.uint8),
        ("CMYK", "x.tif", (3,), np.uint8),
        ("I;16", "x.png", (), np.uint16),
    ],
)
def test_files_of_every_mode_are_read(tmp_path, mode, name, channels, dtype):
    picture_of(mode).save(tmp_path / name)
    read = read_image(tmp_path / name)
    assert read.shape == (5, 7, *channels)
    assert read.dtype == dtype
    pixels(read)  # takes it


def test_a_photo_on_its_side_is_turned_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == (8, 4, 3)


def png_chunk(kind, body):
    "A chunk of a PNG: its length, kind, body and checksum."
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def declared(w, h):
    "A PNG that declares `w` by `h` pixels in a hundred bytes."
    header = struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            png_chunk(b"IDAT", zlib.compress(b"\0")),
            png_chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("w, h", [(40_000, 40_000), (13_000, 13_200)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, w, h):
    (tmp_path / "bomb.png").write_bytes(declared(w, h))
    with pytest.raises(ValueError, match="too large"):
        read_image(tmp_path / "bomb.png")


def test_the_limit_is_ours_and_not_pillows(tmp_path):
    (tmp_path / "bomb.png").write_bytes(declared(13_000, 13_200))
    with pytest.raises(ValueError, match="it declares 13000 x 13200"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_of_unknown_range_are_read_and_not_painted(tmp_path, dtype):
    numbers = np.arange(-4, 5, dtype=dtype).reshape(3, 3)
    Image.fromarray(numbers).save(tmp_path / "x.tif")
    read = read_image(tmp_path / "x.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, numbers)
    with pytest.raises((TypeError, ValueError), match="image has"):
        pixels(read)


def test_big_endian_pictures_keep_their_levels(tmp_path):
    levels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Image.frombytes("I;16B", (4, 3), levels.astype(">u2").tobytes()).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), levels)


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "a hole": lambda content: content[:60] + bytes(40) + content[100:],
    "the head alone": lambda content: content[:20],
    "nothing": lambda content: content[:0],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_a_value_error(tmp_path, damage):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, format="PNG")
    (tmp_path / "x.png").write_bytes(damage(file.getvalue()))
    with pytest.raises(ValueError, match="x.png"):
        read_image(tmp_path / "x.png")


def write_half(file):
    "A writer that fails in the middle."
    file.write(b"half")
    raise RuntimeError("no more")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "film.gif"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_atomically(path, write_half)
    with pytest.raises(ValueError):
        Film([np.zeros((4, 4))], "black").save(path, colors=1)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_shows_a_still_to_those_who_ask_for_it():
    film = Film([np.zeros((4, 4, 3)), np.ones((4, 4, 3))], "black to white", width=40)
    html = film._repr_html_()
    assert "prefers-reduced-motion" in html
    assert 'alt="black to white"' in html
    assert 'width="40"' in html


def test_a_film_of_one_frame_is_a_picture():
    html = Film([np.ones((4, 4, 3))], "white", width=40)._repr_html_()
    assert html.count("data:image/webp") == 1
    assert 'alt="white"' in html
    assert 'width="40"' in html


@pytest.mark.parametrize("shape", [(40, 60, 3), (61, 37), (17, 90, 5)])
@pytest.mark.parametrize("size", [5, 16, 33])
def test_shrink_weighs_pixels_as_jax_does(shape, size):
    image = np.random.default_rng(0).random(shape, np.float32)
    small = shrink(image, size)
    right = jax.image.resize(image, (*small.shape[:2], *shape[2:]), "linear", antialias=True)
    np.testing.assert_allclose(small, right, atol=1e-5)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_a_very_large_picture_is_shrunk_in_steps(dtype):
    "It has the means of its squares, as a wide blur would give, in a time that grows with it."
    noise = np.random.default_rng(0).random((1300, 2000))
    smooth = np.fromfunction(lambda i, j: (i + j) / 3300, noise.shape)
    image = to_dtype(smooth if dtype != bool else noise * smooth * 2, dtype)
    small = shrink(image, 20)
    assert small.shape == (13, 20) and small.dtype == dtype
    right = image.reshape(13, 100, 20, 100).mean((1, 3)) / (
        np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    )
    found = small / (np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1)
    inner = np.s_[2:-2, 2:-2]
    assert abs(found - right)[inner].max() < (0.5 if dtype == bool else 0.03)


def test_a_picture_of_many_pixels_and_few_bytes_takes_no_minutes():
    began = time.process_time()
    assert shrink(np.zeros((6000, 6000), bool), 16).shape == (16, 16)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("window", [None, (-0.3, -0.2, 0.1, 0.5)])
def test_a_pixel_is_the_mean_of_the_places_in_it(n, window):
    "As many along each side as asked for: those of a picture so many times as large."

    def colours(x):
        return 0.5 + jnp.stack([x[:, 0], x[:, 1], x[:, 0] * x[:, 1]], 1) / 4

    finer = render(colours, n * 5, n * 7, window=window)
    means = finer.reshape(5, n, 7, n, 3).mean((1, 3))
    np.testing.assert_allclose(
        render(colours, 5, 7, window=window, supersample=n), means, atol=1e-6
    )


def test_a_pixel_has_at_least_one_place():
    with pytest.raises(ValueError, match="supersample=0"):
        render(lambda x: x, 2, 2, supersample=0)
