"Enlarging keeps what is known, adds what is likely, and is ahead of the formulas."

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

from cadl_flax import enlarge, paint
from cadl_flax.__main__ import main
from cadl_flax.correcting import as_stored
from cadl_flax.enlarging import Enlarger
from cadl_flax.files import read_picture
from cadl_flax.pictures import psnr, read_image, to_dtype
from cadl_flax.tracking import load, read_settings

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "cadl_flax" / "enlarging.safetensors"
PHOTO = data.astronaut()[100:180, 180:276]


def means(picture, side=2):
    "The means over squares, not rounded."
    h, w = picture.shape[:2]
    return picture.reshape(h // side, side, w // side, side, -1).mean((1, 3))


def as_bytes(floats):
    return np.uint8(np.rint(floats))


def by(formula, picture, shape):
    return np.asarray(Image.fromarray(picture).resize(shape[1::-1], formula))


def back_projected(picture, rounds=10):
    "Bicubic, corrected until its means of 2 by 2 are the picture."
    h, w = picture.shape[:2]

    def bicubic(floats):
        channels = [
            by(Image.Resampling.BICUBIC, np.float32(floats[..., c]), (2 * h, 2 * w))
            for c in range(3)
        ]
        return np.stack(channels, -1)

    guess = bicubic(picture)
    for _ in range(rounds):
        guess = guess + bicubic(picture - means(guess))
    return as_bytes(guess.clip(0, 255))


def unseen():
    "Photographs that are in no crop of the training."
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = plt.imread(file)
    return {
        "astronaut": data.astronaut(),
        "hopper": hopper,
        "china": load_sample_image("china.jpg")[:420, :640],
        "flower": load_sample_image("flower.jpg")[:420, :640],
    }


# What is known


@pytest.mark.parametrize("factor", [2, 4])
def test_the_means_of_the_squares_are_the_pixels(factor):
    picture = 0.4 + 0.2 * np.random.default_rng(0).random((9, 14, 3), np.float32)
    squares = means(enlarge(picture, factor), factor)
    np.testing.assert_allclose(squares, picture, atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([None, 1, 2, 3, 4, 5]))
def test_every_shape_comes_back_larger(h, w, n_channels):
    shape = (h, w) if n_channels is None else (h, w, n_channels)
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    larger = enlarge(picture)
    assert larger.shape == (2 * h, 2 * w, *shape[2:])
    assert larger.dtype == np.uint8


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_every_kind_of_number_comes_back(dtype):
    picture = to_dtype(PHOTO / 255, dtype)
    larger = enlarge(picture, 3)
    assert larger.dtype == dtype
    assert larger.shape == (240, 288, 3)
    if dtype != bool:
        levels = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
        blurred = np.float64(means(larger, 3)) / levels
        assert np.abs(blurred - PHOTO / 255).mean() < 0.02


def test_a_flat_picture_stays_flat():
    for level in (0, 77, 255):
        assert np.abs(enlarge(np.full((20, 30, 3), level, np.uint8)).astype(int) - level).max() <= 1


def test_a_gray_picture_is_a_picture_of_three_equal_channels():
    gray = PHOTO[..., 1]
    alike = enlarge(np.dstack([gray] * 3).astype(np.float32) / 255).mean(-1)
    np.testing.assert_allclose(enlarge(gray.astype(np.float32) / 255), alike, atol=1e-5)


def test_colours_are_enlarged_together():
    "What red and green show is known of blue too."
    assert (enlarge(PHOTO)[..., 2] != enlarge(PHOTO[..., 2])).mean() > 0.1


def test_opacity_is_a_channel_of_its_own():
    opacity = PHOTO[::-1, :, 0]
    larger = enlarge(np.dstack([PHOTO, opacity]))
    np.testing.assert_array_equal(larger[..., :3], enlarge(PHOTO))
    np.testing.assert_array_equal(larger[..., 3], enlarge(opacity))


def test_parts_fit_together():
    "A picture of several parts is what it would be as a piece of a larger one."
    photo = np.tile(PHOTO, (4, 4, 1))[:300, :300]
    whole = enlarge(photo)
    assert whole.shape == (600, 600, 3)
    for rows, columns in ((120, 120), (0, 150), (150, 0)):
        piece = photo[rows : rows + 120, columns : columns + 120]
        there = whole[2 * rows + 40 : 2 * rows + 200, 2 * columns + 40 : 2 * columns + 200]
        assert np.abs(enlarge(piece)[40:200, 40:200].astype(int) - there).max() <= 1


def test_the_same_input_gives_the_same_picture():
    np.testing.assert_array_equal(enlarge(PHOTO), enlarge(PHOTO.copy()))


# What is likely


def gain(truth):
    "Decibels over the best of the formulas, from means over 2 by 2 pixels."
    small = as_bytes(means(truth))
    formulas = [by(how, small, truth.shape) for how in Image.Resampling if how != 0]
    best = max(psnr(picture, truth) for picture in [*formulas, back_projected(small)])
    return psnr(enlarge(small), truth) - best


def test_it_is_ahead_of_the_formulas():
    "But on one photograph, whose edges were sharpened until they are stairs."
    gains = {name: gain(truth) for name, truth in unseen().items()}
    assert min(gains["astronaut"], gains["flower"], gains["hopper"]) > 1
    assert gains["china"] > -0.6
    assert np.mean([*gains.values()]) > 1


def test_a_painting_of_it_is_ahead_of_bicubic():
    truth = data.astronaut()[:256, 100:356]
    small = as_bytes(means(truth))
    painting = paint(enlarge(small), n_epochs=20, n_frames=1)
    bicubic = by(Image.Resampling.BICUBIC, small, truth.shape)
    assert psnr(painting.render(256, 256), truth) > psnr(bicubic, truth) + 1.2


def test_the_weights_are_small_and_say_where_they_come_from():
    assert WEIGHTS.stat().st_size <= 600_000
    settings = read_settings(WEIGHTS)
    sys.path.insert(0, str(ROOT / "tools"))
    import train_enlarging as script

    assert settings["steps"] >= script.ROUNDS * script.STEPS
    assert settings["pictures"] == list(script.PICTURES)
    assert not {"astronaut", "camera", "coins"} & set(settings["pictures"])


@pytest.mark.slow
def test_they_can_be_made_again(tmp_path):
    "A thirtieth of the training is ahead of bicubic already."
    path = tmp_path / "w.safetensors"
    program = [sys.executable, ROOT / "tools/train_enlarging.py"]
    subprocess.run([*program, "--rounds", "3", "--out", path], check=True, timeout=1200)
    network = load(path, as_stored(Enlarger(rngs=nnx.Rngs(0))))
    truth = data.astronaut()[100:356, 100:356]
    small = as_bytes(means(truth))
    larger = np.asarray(network(np.float32(small[None] / 255)))[0]
    guess = as_bytes(255 * larger.clip(0, 1))
    bicubic = by(Image.Resampling.BICUBIC, small, truth.shape)
    assert psnr(guess, truth) > psnr(bicubic, truth) + 0.5


# What is refused


@pytest.mark.parametrize(
    "image, factor, error, message",
    [
        (PHOTO, 1, ValueError, "factor=1 must be more than 1"),
        (PHOTO, 17, ValueError, "factor=17 must be"),
        (PHOTO, -2, ValueError, "factor=-2 must be a positive number"),
        (PHOTO, float("nan"), ValueError, "factor=nan must be"),
        (PHOTO, "2", TypeError, "factor='2' is a str"),
        (PHOTO, True, ValueError, "factor=True must be more than 1"),
        (PHOTO.astype(np.int64), 2, TypeError, "image has dtype int64"),
        (PHOTO.astype(float), 2, ValueError, "image has values from"),
        (np.zeros((0, 3)), 2, ValueError, "image has shape"),
        (np.broadcast_to(np.uint8(0), (9000, 9000)), 16, ValueError, "makes 144000 x 144000"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(image, factor, error, message):
    with pytest.raises(error, match=message):
        enlarge(image, factor)


# From a terminal


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png", dpi=(72, 72))
    return tmp_path


def test_the_command_is_the_function(desk, capsys):
    assert main(["enlarge", "photo.png", "--quiet"]) == 0
    np.testing.assert_array_equal(read_image("enlarged.png"), enlarge(PHOTO))
    assert main(["enlarge", "photo.png", "--factor", "1.5", "--out", "x.webp", "--quiet"]) == 0
    assert read_image("x.webp").shape == (120, 144, 3)
    assert round(read_picture("enlarged.png").dpi[0]) == 144


def test_several_go_into_a_folder(desk):
    Image.fromarray(PHOTO[..., 0]).save("gray.png")
    assert main(["enlarge", "photo.png", "gray.png", "--quiet"]) == 0
    assert read_image("enlarged/photo.png").shape == (160, 192, 3)
    assert read_image("enlarged/gray.png").shape == (160, 192)


KINDS = {
    "palette.png": Image.fromarray(PHOTO).quantize(16),
    "bits.png": Image.fromarray(PHOTO[..., 0] > 99),
    "deep.png": Image.fromarray(PHOTO[..., 0].astype(np.uint16) * 257),
    "inks.jpg": Image.fromarray(PHOTO).convert("CMYK"),
    "clear.png": Image.fromarray(np.dstack([PHOTO, PHOTO[..., 0]])),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_enlarged(desk, name):
    KINDS[name].save(name)
    assert main(["enlarge", name, "--out", "out.png", "--quiet"]) == 0
    assert read_image("out.png").shape[:2] == (160, 192)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["photo.png", "--factor", "1"], "factor=1.0 must be more than 1"),
        (["photo.png", "--factor", "99"], "--factor"),
        (["nowhere.png"], "nowhere.png"),
        (["photo.png", "--out", "photo.png"], "which it is made from"),
        (["photo.png", "--out", "x.gif"], "must end in"),
        ([], "IMAGE"),
    ],
    ids=str,
)
def test_what_is_typed_wrong_is_one_line(desk, capsys, arguments, message):
    assert main(["enlarge", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1
    assert sorted(path.name for path in desk.iterdir()) == ["photo.png"]
