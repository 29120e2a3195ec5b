"Files from the field: what is missing is understood or refused, and the rest of the file stays."

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageDraw, ImageFont
from skimage import data
from skimage.restoration import inpaint_biharmonic
from test_cli import PROGRAM, assert_succeeded, here, run  # noqa: F401 a fixture

from cadl_flax import inpaint
from cadl_flax.files import Picture, read_image, read_picture
from cadl_flax.formats import save_picture
from cadl_flax.masks import read_mask
from cadl_flax.mending import fill, missing_by_colour, missing_by_itself, missing_by_mask
from cadl_flax.pictures import shrink

PHOTO = shrink(data.astronaut(), 64)
STROKE = np.zeros((64, 64), bool)
STROKE[20:23, 5:60] = True
N_MISSING = STROKE.sum()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, array):
    Image.fromarray(array).save(name)
    return name


def ink(colour, ground=(0, 0, 0)):
    "The stroke in a colour on a ground, of as many channels as they have."
    mask = np.empty((*STROKE.shape, len(colour)), np.uint8)
    mask[:] = ground
    mask[STROKE] = colour
    return mask


MASKS = {
    "0 and 1": STROKE.astype(np.uint8),
    "0 and 100": STROKE.astype(np.uint8) * 100,
    "16 bits": STROKE.astype(np.uint16) * 255,
    "16 bits, full": STROKE.astype(np.uint16) * 65535,
    "1 bit": STROKE,
    "red on black": ink((255, 0, 0)),
    "dark blue on black": ink((0, 0, 60)),
    "black on transparent": ink((0, 0, 0, 255), (0, 0, 0, 0)),
    "a white layer": ink((255, 255, 255, 255), (255, 255, 255, 0)),
    "gray on transparent": ink((90, 255), (0, 0)),
    "two colours on black": np.where(np.arange(64) % 2, ink((255, 0, 0)).T, ink((0, 90, 0)).T).T,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_python_and_command_line_agree_on_every_mask(here, mask):  # noqa: F811
    write("photo.png", PHOTO)
    write("mask.png", mask)
    result = here("inpaint", "photo.png", "mask.png", "--json", "--quiet")
    assert_succeeded(result)
    assert json.loads(result.stdout)["missing"] == N_MISSING
    python = inpaint(PHOTO, mask)
    np.testing.assert_array_equal(read_image("restored.png"), python)
    np.testing.assert_array_equal(python, inpaint(PHOTO, STROKE))


def test_a_palette_class_is_a_mask(here):  # noqa: F811
    write("photo.png", PHOTO)
    image = Image.fromarray(STROKE.astype(np.uint8))
    image.putpalette([0, 0, 0, 128, 64, 0])
    image.save("mask.png")
    result = here("inpaint", "photo.png", "mask.png", "--json", "--quiet")
    assert json.loads(result.stdout)["missing"] == N_MISSING


def test_what_was_guessed_is_said(here):  # noqa: F811
    write("photo.png", PHOTO)
    write("mask.png", ink((255, 0, 0)))
    result = here("inpaint", "photo.png", "mask.png")
    assert result.stderr == f"mask: {N_MISSING} pixels, red on black\n"
    assert f"restored.png: {N_MISSING} of 4,096 pixels filled, red on black" in result.stdout


NOTHING = {
    "black": np.zeros((64, 64), np.uint8),
    "white": np.full((64, 64), 255, np.uint8),
    "opaque white": np.full((64, 64, 4), 255, np.uint8),
    "transparent": np.zeros((64, 64, 4), np.uint8),
}


@pytest.mark.parametrize("mask", NOTHING.values(), ids=NOTHING)
def test_nothing_filled_is_no_success(here, mask):  # noqa: F811
    write("photo.png", PHOTO)
    write("mask.png", mask)
    result = here("inpaint", "photo.png", "mask.png")
    assert result.returncode == 2
    assert result.stderr.startswith("cadl-flax: mask.png: ")
    assert not Path("restored.png").exists()


def test_a_doubtful_mask_is_refused_and_both_answers_work(here):  # noqa: F811
    write("photo.png", PHOTO)
    write("mask.png", np.where(STROKE, 0, 255).astype(np.uint8))
    result = here("inpaint", "photo.png", "mask.png")
    assert result.returncode == 2
    assert "--invert" in result.stderr and "--no-invert" in result.stderr
    for option, n_missing in (("--invert", N_MISSING), ("--no-invert", 4096 - N_MISSING)):
        result = here("inpaint", "photo.png", "mask.png", option, "--json", "--quiet")
        assert json.loads(result.stdout)["missing"] == n_missing


def test_soft_ink_leaves_no_ghost(here):  # noqa: F811
    clean = shrink(data.astronaut(), 256)[64:160, 64:160]
    layer = Image.new("L", (96, 96), 0)
    font = ImageFont.load_default(size=26)
    ImageDraw.Draw(layer).text((4, 30), "Sample", font=font, fill=255)
    alpha = np.array(layer)
    share = alpha[..., None] / 255
    given = np.rint(clean * (1 - share) + 255 * share).astype(np.uint8)
    write("photo.png", given)
    layer.save("mask.png")
    assert_succeeded(here("inpaint", "photo.png", "mask.png", "--quiet"))

    def on_ink(picture):
        return -10 * np.log10(np.mean(((picture - clean.astype(float)) / 255)[alpha > 0] ** 2))

    assert on_ink(read_image("restored.png")) > on_ink(inpaint(given, alpha > 0)) - 0.01
    result = here("inpaint", "photo.png", "mask.png", "--threshold", 0.5, "--json", "--quiet")
    assert json.loads(result.stdout)["missing"] == (alpha > 127.5).sum()
    result = here("inpaint", "photo.png", "mask.png", "--grow", 2, "--json", "--quiet")
    assert json.loads(result.stdout)["missing"] > (alpha > 0).sum()


# ------------------------------------------------------------------------------ turned photos


def turned_photo():
    "A photo on its side, whose EXIF says so, and a mask on the pixels as they lie in the file."
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = np.ascontiguousarray(np.rot90(PHOTO[:48]))
    Image.fromarray(raw).save("turned.png", exif=exif)
    mask = np.zeros(raw.shape[:2], np.uint8)
    mask[10:14] = 255
    write("raw_mask.png", mask)
    return np.rot90(mask, -1) > 0


def test_a_mask_of_a_turned_photo_is_turned_with_it(here):  # noqa: F811
    mask = turned_photo()
    result = here("inpaint", "turned.png", "raw_mask.png")
    assert_succeeded(result)
    assert "turned upright with the photo" in result.stderr
    np.testing.assert_array_equal(read_image("restored.png"), inpaint(PHOTO[:48], mask))


def test_a_mask_that_was_turned_otherwise_gets_a_hint(here):  # noqa: F811
    write("photo.png", PHOTO[:48])
    write("mask.png", np.rot90(STROKE[:48]).astype(np.uint8))
    result = here("inpaint", "photo.png", "mask.png")
    assert result.returncode == 2
    assert "mask.png: mask has 64 x 48 pixels, and the picture has 48 x 64" in result.stderr
    assert "EXIF orientation" in result.stderr


# ------------------------------------------------------------------------------ without a mask


def test_a_colour_marks_what_is_missing(here):  # noqa: F811
    drawn = PHOTO.copy()
    drawn[STROKE] = (255, 0, 255)
    write("photo.png", drawn)
    result = here("inpaint", "photo.png", "--colour", "#ff00ff", "--grow", 0, "--json", "--quiet")
    assert json.loads(result.stdout)["missing"] == N_MISSING
    np.testing.assert_array_equal(read_image("restored.png"), inpaint(PHOTO, STROKE))
    grown = missing_by_colour(Picture(drawn, "RGB"), "magenta")[0]
    assert grown[19:24, 5:60].all() and grown.sum() > N_MISSING
    assert here("inpaint", "photo.png", "--colour", "#00ff01").returncode == 2
    assert here("inpaint", "photo.png", "--colour", "greenish").returncode == 2


def test_transparent_pixels_are_missing_and_become_opaque(here):  # noqa: F811
    alpha = np.where(STROKE, 0, 255).astype(np.uint8)
    for mode in ("LA", "RGBA"):
        image = Image.fromarray(PHOTO).convert(mode)
        image.putalpha(Image.fromarray(alpha))
        image.save("photo.png")
        assert_succeeded(here("inpaint", "photo.png", "--quiet"))
        with Image.open("restored.png") as back:
            assert back.mode == mode
            assert (np.array(back)[..., -1] == 255).all()


def test_no_data_is_filled(here):  # noqa: F811
    heights = np.fromfunction(lambda i, j: i - 2.0 * j, (40, 40)).astype(np.float32)
    holes = np.zeros((40, 40), bool)
    holes[10:13, 5:30] = True
    tags = [(42113, "s", 0, "-32768", True)]
    tifffile.imwrite("sea.tif", np.where(holes, np.float32(-32768), heights), extratags=tags)
    assert_succeeded(here("inpaint", "sea.tif", "--quiet"))
    assert abs(tifffile.imread("restored.tif") - heights).max() < 0.5
    tifffile.imwrite("sea.tif", np.where(holes, -9999, heights).astype(np.int16))
    assert here("inpaint", "sea.tif").returncode == 2
    result = here("inpaint", "sea.tif", "--nodata", -9999, "--out", "x.tif", "--json", "--quiet")
    assert json.loads(result.stdout)["missing"] == holes.sum()
    assert tifffile.imread("x.tif").dtype == np.int16


# ------------------------------------------------------------------------------ kinds of pictures


def test_transparent_pixels_do_not_bleed():
    "What colour a transparent pixel has is nobody's business."
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:, 32:] = 0
    missing = np.zeros((64, 64), bool)
    missing[10:50:3, 26:32] = True
    results = []
    for colour in ((0, 0, 0), (255, 0, 255)):
        picture = np.dstack([PHOTO, alpha])
        picture[:, 32:, :3] = colour
        results.append(fill(Picture(picture, "RGBA"), missing).pixels)
    np.testing.assert_array_equal(results[0][missing], results[1][missing])


def test_an_opaque_picture_stays_opaque(here):  # noqa: F811
    write("photo.png", np.dstack([PHOTO, np.full((64, 64), 255, np.uint8)]))
    write("mask.png", STROKE)
    assert_succeeded(here("inpaint", "photo.png", "mask.png", "--quiet"))
    back = read_image("restored.png")
    assert (back[..., 3] == 255).all()
    np.testing.assert_array_equal(back[..., :3], inpaint(PHOTO, STROKE))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_the_mode_comes_back(here, mode, ending):  # noqa: F811
    image = Image.fromarray(PHOTO)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(PHOTO[..., 0]))
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    image.save(f"photo{ending}")
    write("mask.png", STROKE)
    out = f"o{ending}"
    assert_succeeded(here("inpaint", f"photo{ending}", "mask.png", "--quiet", "-o", out))
    with Image.open(out) as back:
        assert back.mode == mode
        np.testing.assert_array_equal(np.array(back)[~STROKE], np.array(image)[~STROKE])


def test_sixteen_bits_and_bands_come_back(here):  # noqa: F811
    write("mask.png", STROKE)
    deep = PHOTO.astype(np.uint16) * 200
    tifffile.imwrite("photo.tif", deep, photometric="rgb")
    for out in ("o.png", "o.tif"):
        assert_succeeded(here("inpaint", "photo.tif", "mask.png", "--quiet", "-o", out))
        np.testing.assert_array_equal(read_image(out), inpaint(deep, STROKE))
    bands = np.dstack([deep, deep // 200, deep[..., 0] // 9])
    tifffile.imwrite("bands.tif", bands, photometric="minisblack", planarconfig="contig")
    result = here("inpaint", "bands.tif", "mask.png", "-o", "o.png")
    assert result.returncode == 2 and "7 bands of uint16" in result.stderr
    assert_succeeded(here("inpaint", "bands.tif", "mask.png", "--quiet"))
    np.testing.assert_array_equal(tifffile.imread("restored.tif"), inpaint(bands, STROKE))


def test_a_signed_picture_is_refused_by_its_name(here):  # noqa: F811
    tifffile.imwrite("ct.tif", PHOTO[..., 0].astype(np.int16) - 100)
    write("mask.png", STROKE)
    result = here("inpaint", "ct.tif", "mask.png", "-o", "o.png")
    assert result.returncode == 2
    assert "int16" in result.stderr and "write to a .tif" in result.stderr
    assert here("inpaint", "ct.tif", "mask.png", "--quiet").returncode == 0
    assert tifffile.imread("restored.tif").dtype == np.int16


# ------------------------------------------------------------------------------ files of others


def test_an_unnamed_file_of_others_stays(here):  # noqa: F811
    write("photo.png", PHOTO)
    write("mask.png", STROKE)
    write("restored.png", PHOTO[::-1].copy())
    before = Path("restored.png").read_bytes()
    result = here("inpaint", "photo.png", "mask.png")
    assert result.returncode == 2 and "--force" in result.stderr
    assert Path("restored.png").read_bytes() == before
    assert_succeeded(here("inpaint", "photo.png", "mask.png", "--quiet", "--force"))
    assert_succeeded(here("inpaint", "photo.png", "mask.png", "--quiet"))  # its own


def test_a_named_file_is_replaced_and_what_lies_beside_it_is_not(here):  # noqa: F811
    write("photo.png", PHOTO)
    write("dog.png", PHOTO[::-1].copy())
    frames = [Image.fromarray(np.full((8, 8, 3), i * 40, np.uint8)) for i in range(5)]
    frames[0].save("dog.gif", save_all=True, append_images=frames[1:])
    before = {name: Path(name).read_bytes() for name in ("dog.gif", "dog.png")}
    quick = ["--size", 12, "--epochs", 1, "--network", "mlp", "--quiet"]
    result = here("paint", "photo.png", *quick, "--out", "dog.png")
    assert result.returncode == 2 and "dog.gif" in result.stderr
    assert {name: Path(name).read_bytes() for name in before} == before
    os.remove("dog.gif")
    assert_succeeded(here("paint", "photo.png", *quick, "--out", "dog.png"))
    assert_succeeded(here("paint", "photo.png", *quick, "--out", "dog.png"))


def test_resume_replaces_no_picture_of_the_same_name(here):  # noqa: F811
    write("cat.png", PHOTO)
    before = Path("cat.png").read_bytes()
    quick = ["--size", 12, "--epochs", 1, "--network", "mlp", "--quiet"]
    assert_succeeded(here("paint", "cat.png", *quick, "--out", "x.png"))
    os.rename("x.safetensors", "cat.safetensors")
    result = here("resume", "cat.safetensors", "--epochs", 1)
    assert result.returncode == 2 and "cat.png" in result.stderr
    assert Path("cat.png").read_bytes() == before
    os.remove("cat.png")
    assert_succeeded(here("resume", "cat.safetensors", "--epochs", 1, "--quiet"))
    assert_succeeded(here("resume", "cat.safetensors", "--epochs", 1, "--quiet"))


# ------------------------------------------------------------------------------ pipes


def test_a_pipe_in_and_out():
    write("photo.png", PHOTO)
    write("mask.png", STROKE)
    with open("photo.png", "rb") as photo:
        done = subprocess.run(
            [*PROGRAM, "inpaint", "-", "mask.png", "--out", "-"], stdin=photo, capture_output=True
        )
    assert done.returncode == 0, done.stderr
    Path("o.png").write_bytes(done.stdout)
    np.testing.assert_array_equal(read_image("o.png"), inpaint(PHOTO, STROKE))
    assert b"-: 165 of 4,096 pixels filled" in done.stderr


# ------------------------------------------------------------------------------ many


def many(n):
    "Small photos of one mask, one of them damaged."
    for i in range(n):
        write(f"{i:03}.png", np.roll(PHOTO[:40, :40], i, 0))
    Path("007.png").write_bytes(Path("007.png").read_bytes()[:500])
    write("dust.bmp", STROKE[:40, :40])


def test_one_failure_does_not_stop_the_rest(here):  # noqa: F811
    many(12)
    result = here("inpaint", "*.png", "--mask", "dust.bmp", "--out", "o", "--json", "--quiet")
    assert result.returncode == 2
    facts = json.loads(result.stdout)
    assert [failure["image"] for failure in facts["failed"]] == ["007.png"]
    assert "damaged" in facts["failed"][0]["error"]
    assert len(facts["done"]) == 11
    for i in (0, 11):
        right = inpaint(np.roll(PHOTO[:40, :40], i, 0), STROKE[:40, :40])
        np.testing.assert_array_equal(read_image(f"o/{i:03}.png"), right)
    result = here("inpaint", "*.png", "--mask", "dust.bmp", "--out", "o", "--quiet")
    assert result.stdout.endswith("11 of 12 pictures done; failed: 007.png\n")


def test_a_mask_beside_each(here):  # noqa: F811
    for name, shift in (("a.png", 0), ("b.tif", 9)):
        write(name, PHOTO)
        write(f"{name[0]}_mask.png", np.roll(STROKE, shift, 0))
    result = here("inpaint", "a.png", "b.tif", "--mask-suffix", "_mask", "--quiet")
    assert_succeeded(result)
    right = inpaint(PHOTO, np.roll(STROKE, 9, 0))
    np.testing.assert_array_equal(read_image("restored/b.tif"), right)
    assert here("inpaint", "a.png", "--mask-suffix", "_hole").returncode == 2


def test_many_paintings(here):  # noqa: F811
    write("a.png", PHOTO)
    write("b.jpg", PHOTO)
    quick = ["--epochs", 1, "--network", "mlp", "--quiet"]
    result = here("paint", "a.png", "b.jpg", "nowhere.png", "--size", 12, *quick)
    assert result.returncode == 2
    assert sorted(os.listdir("paintings")) == sorted(
        f"{name}{ending}" for name in "ab" for ending in (".gif", ".png", ".safetensors")
    )
    assert "12 × 12 of 64 × 64 pixels" in result.stdout
    result = here("paint", "a.png", "--size", "full", *quick)
    assert "64 × 64 pixels" in result.stdout and "of 64" not in result.stdout
    assert read_image("painting.png").shape == (64, 64, 3)


@pytest.mark.slow
def test_two_hundred_small_files(tmp_path):
    many(201)
    line = ["inpaint", "*.png", "--mask", "dust.bmp", "--out", "o", "--json", "--quiet"]
    result = run(*line, cwd=tmp_path)
    facts = json.loads(result.stdout)
    assert len(facts["done"]) == 200 and len(facts["failed"]) == 1
    seconds = [done["seconds"] for done in facts["done"][1:]]
    assert np.mean(seconds) < 0.15, np.mean(seconds)


def test_killed_in_the_middle_written_files_are_whole_and_the_rest_is_named():
    many(120)
    command = [*PROGRAM, "inpaint", "*.png", "--mask", "dust.bmp", "--out", "o", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        while len(list(Path("o").glob("[!.]*.png"))) < 20 and p.poll() is None:
            time.sleep(0.01)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate()
    assert p.returncode == 130, err
    assert "Traceback" not in err
    names = sorted(os.listdir("o"))
    assert 20 <= len(names) < 119
    for name in names:
        read_image(f"o/{name}")
    left = out.splitlines()[-1].split("not done: ")[1].split(", ")
    assert sorted([*names, *left, "007.png"]) == [f"{i:03}.png" for i in range(120)]


FULL_DISK = """
import errno, sys
from pathlib import Path
from cadl_flax import __main__ as cli, files

replace = files.os.replace

def full_at_the_fifth(source, target):
    if len(list(Path("o").glob("*.png"))) >= 5:
        raise OSError(errno.ENOSPC, "No space left on device", str(source))
    replace(source, target)

files.os.replace = full_at_the_fifth
line = "inpaint *.png --mask dust.bmp --out o --quiet".split()
sys.exit(cli.main(line))
"""


def test_a_disk_that_fills_in_the_middle():
    many(12)
    done = subprocess.run([sys.executable, "-c", FULL_DISK], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert sorted(os.listdir("o")) == [f"{i:03}.png" for i in range(5)]
    for name in os.listdir("o"):
        read_image(f"o/{name}")
    assert "failed: 005.png; not done: 006.png, 007.png" in done.stdout


# ------------------------------------------------------------------------------ paintings


def test_a_painting_keeps_the_colours_profile(here):  # noqa: F811
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PHOTO).save("photo.png", icc_profile=profile)
    quick = ["--epochs", 1, "--network", "mlp", "--quiet"]
    assert_succeeded(here("paint", "photo.png", "--size", 12, *quick, "--out", "x.jpg"))
    os.remove("x.jpg")
    assert_succeeded(here("resume", "x.safetensors", "--epochs", 1, "--quiet"))
    for out in ("y.png", "y.tif", "y.webp"):
        assert_succeeded(here("render", "x.safetensors", "--out", out))
    for name in ("x.png", "y.png", "y.tif", "y.webp"):
        assert read_picture(name).profile == profile


def test_a_folder_from_before_profiles_were_kept_goes_on(here):  # noqa: F811
    "The profile is the picture's, and no option that was typed otherwise."
    Image.fromarray(PHOTO).save("plain.png")
    line = ["--size", 12, "--epochs", 3, "--network", "mlp", "--quiet", "--checkpoint", "kept"]
    assert_succeeded(here("paint", "plain.png", *line))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PHOTO).save("photo.png", icc_profile=profile)
    assert_succeeded(here("paint", "photo.png", *line))


def test_a_painting_through_a_pipe():
    write("photo.png", PHOTO)
    quick = ["--size", "12", "--epochs", "1", "--network", "mlp", "--json"]
    with open("photo.png", "rb") as photo:
        command = [*PROGRAM, "paint", "-", *quick, "--out", "-"]
        done = subprocess.run(command, stdin=photo, capture_output=True)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.size == (12, 12)
    assert json.loads(done.stderr.splitlines()[-1])["files"] == []
    assert os.listdir(".") == ["photo.png"]


def test_a_number_far_from_all_others_is_said(here):  # noqa: F811
    heights = np.fromfunction(lambda i, j: 100 + i, (64, 64)).astype(np.float32)
    heights[18:20, 10:20] = -9999
    tifffile.imwrite("x.tif", heights)
    write("mask.png", STROKE)
    result = here("inpaint", "x.tif", "mask.png")
    assert_succeeded(result)
    assert "x.tif: " in result.stderr and "nodata" in result.stderr
    assert "Warning" not in result.stderr


# ------------------------------------------------------------------------------ oracles


def test_filled_values_stay_where_biharmonic_is():
    "A depth of 2 to 5 m in a float TIFF, through the file and back."
    depth = np.fromfunction(lambda i, j: 2 + j / 20 + 0.5 * np.sin(i / 9), (64, 64))
    depth = depth.astype(np.float32)
    mended = fill(Picture(depth, "gray"), STROKE).pixels
    smooth = inpaint_biharmonic(depth.astype(float), STROKE)
    assert np.std((mended - depth)[STROKE]) < 2 * np.std((smooth - depth)[STROKE]) + 1e-3


def test_a_map_with_a_mask_keeps_its_no_data(tmp_path):
    heights = np.fromfunction(lambda i, j: i + 2.0 * j, (64, 64)).astype(np.float32)
    heights[40:] = -9999
    tifffile.imwrite(tmp_path / "x.tif", heights, extratags=[(42113, "s", 0, "-9999", True)])
    picture = read_picture(tmp_path / "x.tif")
    missing, _ = missing_by_mask(picture, Picture(STROKE, "gray"))
    mended = fill(picture, missing, nodata=picture.nodata)
    assert (mended.pixels[40:] == -9999).all()
    right = np.fromfunction(lambda i, j: i + 2.0 * j, (64, 64))
    assert abs(mended.pixels - right)[STROKE].max() < 1
    save_picture(mended, tmp_path / "y.tif")
    assert read_picture(tmp_path / "y.tif").nodata == -9999


def test_a_picture_that_lacks_nothing_says_so():
    with pytest.raises(ValueError, match="no transparent pixels"):
        missing_by_itself(Picture(PHOTO, "RGB"))
    with pytest.raises(ValueError, match="NaN"):
        missing_by_itself(Picture(PHOTO.astype(np.float32), "RGB"))


def test_read_mask_says_what_the_command_line_prints():
    missing, words = read_mask(ink((255, 0, 0)))
    np.testing.assert_array_equal(missing, STROKE)
    assert words == "red on black"
