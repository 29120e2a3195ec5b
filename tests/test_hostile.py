"""Bad input of every kind: one line that names it, exit code 2 or 3, and nothing half-written.

Most of it runs in this process, with training left out; `test_cli.py` has the same as
processes."""

import importlib
import io
import json
import os
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from conftest import PEAK_MEMORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data
from test_pictures import declared

import cadl_flax
from cadl_flax import __main__ as cli
from cadl_flax.networks import MLP
from cadl_flax.painting import paint
from cadl_flax.pictures import read_image, shrink
from cadl_flax.tracking import _digest, load, read_words, save

# hypothesis draws from the constants of imported modules, so all are imported before it begins
for found in pkgutil.iter_modules(cadl_flax.__path__, "cadl_flax."):
    importlib.import_module(found.name)

PHOTO = shrink(data.astronaut(), 24)
MANY = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


def stamps():
    "What lies in the working folder: names with times of change, for folders only that they are."
    paths = [path for path in Path.cwd().iterdir() if path.name != "kept"]
    return {path: path.is_dir() or path.lstat().st_mtime_ns for path in paths}


def assert_failure(code, output):
    "Look that a command has failed with a code for it and one line on stderr."
    assert code in (2, 3), (code, output)
    assert output.out == "", (code, output)
    assert output.err.count("\n") == 1, (code, output)
    assert output.err.startswith("cadl-flax: "), (code, output)


def train_nothing(*args):
    "In place of training: at once done, with exit code 0."
    return 0


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """`ask(*args)`, which types a command line in an empty folder; nothing is trained.

    It returns the exit code and what is on stderr, after looking that a failure is one line,
    with a code for it, and has changed no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.Session, "run", train_nothing)
    monkeypatch.setattr(cli.Session, "facts", lambda session: {})
    monkeypatch.setattr(cli.Session, "text", lambda session: "")

    def ask(*args):
        before = stamps()
        capsys.readouterr()  # forgets what was shown before
        code = cli.main([str(arg) for arg in args])
        output = capsys.readouterr()
        if code:
            assert_failure(code, output)
            assert stamps() == before
        return code, output.err

    return ask


def is_refused(code, line, *words):
    "Whether the exit code is that of bad input, and the line on stderr names every word."
    return code == 2 and all(word in line for word in words)


def photo_in(mode):
    "The photo in a mode of Pillow."
    photo = Image.fromarray(PHOTO)
    if mode == "I;16":
        return photo.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    return photo.convert(mode)


def saved(mode, kind):
    "The photo as the bytes of a file; `None` where the format has no such mode."
    photo, out = photo_in(mode), io.BytesIO()
    try:
        photo.save(out, kind)
    except Exception:  # formats refuse modes by errors of many kinds
        return None
    return out.getvalue()


Image.init()
KINDS = sorted(set(Image.SAVE) - {"PDF"})
MODES = ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]


def photo_files():
    "The photo in all formats and modes that Pillow writes, by mode and format."
    files = {}
    for kind in KINDS:
        modes = ["RGB"] if kind == "ICNS" else MODES
        for mode in modes:
            files[mode, kind] = saved(mode, kind)
    return {key: content for key, content in files.items() if content}


FILES = photo_files()


def test_the_list_is_long():
    common = {"PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"}
    assert len(FILES) > 100
    assert common <= {kind for _, kind in FILES}


def brightness(picture):
    "The mean of the colours of each pixel, 255 for white."
    if picture.ndim == 3:
        return picture[..., :3].mean(2)
    return picture / (257 if picture.dtype == np.uint16 else 1)


def assert_photo(picture, mode):
    "Look that the photo was read from a mode of Pillow upright, and as bright as it is."
    assert picture.dtype in (np.uint8, np.uint16)
    assert picture.shape[:2] == PHOTO.shape[:2]
    loses_levels = mode == "1" or mode == "I;16" and picture.dtype != np.uint16
    if not loses_levels:
        assert abs(brightness(picture) - PHOTO.mean(2)).mean() < 15


@pytest.mark.parametrize("kind", sorted({kind for _, kind in FILES}))
def test_every_format_and_mode_of_pillow(desk, kind):
    for mode in [mode for mode, other in FILES if other == kind]:
        Path("x.jpg").write_bytes(FILES[mode, kind])  # whatever the name says
        code, line = desk("paint", "x.jpg", "--size", 8)
        if code:
            assert "x.jpg" in line, (mode, line)
            reasons = ("image has", "not a picture", "damaged")
            assert any(reason in line for reason in reasons), (mode, line)
        elif kind in ("PNG", "TIFF", "BMP", "PPM", "WEBP") and mode not in ("F", "I"):
            assert_photo(read_image("x.jpg"), mode)


@MANY
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1))
def test_half_a_file(desk, which, part):
    content = FILES[which]
    Path("x.png").write_bytes(content[: int(part * len(content))])
    code, line = desk("paint", "x.png", "--size", 8)
    assert code == 0 or is_refused(code, line, "x.png")


PLACES = st.floats(0, 0.999)  # in a file, as shares of its length
CHANGES = st.lists(st.tuples(PLACES, st.integers(0, 255)), min_size=1, max_size=20)


@MANY
@given(st.sampled_from(sorted(FILES)), CHANGES)
def test_changed_bytes(desk, which, changes):
    content = bytearray(FILES[which])
    for place, byte in changes:
        content[int(place**3 * len(content))] = byte  # most of them near the beginning
    Path("x.png").write_bytes(content)
    code, line = desk("paint", "x.png", "--size", 8)
    assert code == 0 or is_refused(code, line, "x.png")


SIGNATURES = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF\xff\xff\xff\xffWEBP",
    b"8BPS",
    b"P6 9 9 255\n",
    b"%!PS-Adobe-3.0 EPSF\n",
    b"\0\0\1\0",
    b"\x80\x04",
]


@MANY
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_noise_after_a_promise(desk, signature, noise):
    Path("x.png").write_bytes(signature + noise)
    for command in ("paint", "inpaint", "resume", "render"):
        code, line = desk(command, "x.png", "--out", "y.png")
        # noise may happen to be a picture, which paint takes
        taken = command == "paint" and code == 0
        assert taken or is_refused(code, line, "x.png")


def animation(kind):
    "A film of three frames, each a row further down, as the bytes of a file."
    frames = [Image.fromarray(np.roll(PHOTO, i, 0)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_film_the_first_picture_counts(desk, kind):
    Path("x").write_bytes(animation(kind))
    assert abs(read_image("x").astype(int) - PHOTO).mean() < 20
    assert desk("paint", "x")[0] == 0


TURNS = {
    0: lambda photo: photo,
    2: lambda photo: photo[:, ::-1],
    3: lambda photo: photo[::-1, ::-1],
    4: lambda photo: photo[::-1],
    5: lambda photo: photo.swapaxes(0, 1),
    6: lambda photo: np.rot90(photo, -1),
    7: lambda photo: photo[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
    9: lambda photo: photo,  # from here on EXIF gives no meaning
    65535: lambda photo: photo,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_photos_are_turned_as_the_camera_says(desk, orientation):
    photo = PHOTO[:, :12]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save("x.png", exif=exif)
    np.testing.assert_array_equal(read_image("x.png"), TURNS[orientation](photo))
    assert desk("paint", "x.png")[0] == 0


@pytest.mark.parametrize(
    "w, h, word",
    [
        (40_000, 40_000, "too large"),
        (2**31 - 1, 2**31 - 1, "too large"),
        (0, 0, "x.png"),
        (0, 5, "x.png"),
        (20_000, 9000, "too large"),
        (3, 3, "damaged"),
    ],
)
def test_pictures_that_promise_too_much(desk, w, h, word):
    Path("x.png").write_bytes(declared(w, h))
    code, line = desk("paint", "x.png")
    assert is_refused(code, line, "x.png", word), line


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 9 9
%%EndComments
(done) (w) file closefile showpage
"""


def test_a_program_in_postscript_is_not_run(desk):
    Path("x.png").write_bytes(POSTSCRIPT)
    assert desk("paint", "x.png") == (2, "cadl-flax: x.png is not a picture that can be read\n")
    assert not Path("done").exists()


def test_sixteen_bits_and_three_channels_are_kept(desk):
    "Pillow would read such a file with 8 bits."
    import cv2

    photo = PHOTO.astype(np.uint16) * 257
    photo[PHOTO > 9] -= 5
    cv2.imwrite("x.png", photo[..., ::-1])
    np.testing.assert_array_equal(read_image("x.png"), photo)
    assert desk("paint", "x.png")[0] == 0
    assert paint(photo, n_epochs=1, network="mlp").image.dtype == np.uint16


def test_numbers_that_are_not_finite_are_no_picture(desk):
    for bad in (np.nan, np.inf, -np.inf, -0.01, 1.01):
        broken = PHOTO / 255
        broken[3, 4, 1] = bad
        with pytest.raises(ValueError, match="image has values from"):
            paint(broken)
        Image.fromarray(broken[..., 1].astype(np.float32)).save("x.tiff")
        code, line = desk("paint", "x.tiff")
        assert is_refused(code, line, "x.tiff", "image has")


# Paths


def make_unusual_files():
    "A folder, links that lead nowhere, a pipe, an empty file and a name with a line break."
    Path("folder").mkdir(exist_ok=True)
    if not Path("loop").is_symlink():
        os.symlink("loop", "loop")
        os.symlink("round", "about")
        os.symlink("about", "round")
        os.symlink("nowhere", "dangling")
        os.mkfifo("pipe")
    Path("empty").write_bytes(b"")
    Path("a\nb").write_bytes(b"no picture")


NO_PICTURES = {  # names, with what is said of them
    "nowhere": "No such file",
    "": "",
    "folder": "directory",
    ".": "directory",
    "/": "directory",
    "loop": "symbolic links",
    "about": "symbolic links",
    "dangling": "No such file",
    "pipe": "a pipe",
    "/dev/zero": "a pipe",
    "/dev/null": "a pipe",
    "empty": "empty",
    "empty/x": "Not a directory",
    "a\nb": "a b",
    "n" * 300: "too long",
    "x/" * 3000: "too long",
    "\0": "null",
    "nul\0in": "null",
    "-1": "-1",
    "~/nowhere": "No such file",
    "https://example.org/x.png": "No such file",
    "*.nothing": "*.nothing",
    "$(rm -rf x)": "No such file",
}


def short(value):
    "A value as the name of a test."
    return repr(value)[:20]


@pytest.mark.parametrize("name", NO_PICTURES, ids=short)
@pytest.mark.parametrize("command", ["paint", "inpaint", "resume", "render"])
def test_names_that_are_no_files(desk, name, command):
    make_unusual_files()
    out = [] if command == "paint" else ["--out", "out.png"]
    code, line = desk(command, name, *out)
    assert code == 2
    assert line.rstrip("\n").isprintable()
    assert NO_PICTURES[name] in line or "checkpoint" in line, line


@pytest.mark.parametrize("name", NO_PICTURES, ids=short)
def test_names_that_are_no_files_of_masks(desk, name):
    make_unusual_files()
    Image.fromarray(PHOTO).save("photo.png")
    assert desk("inpaint", "photo.png", name)[0] == 2


OUTS = {
    "nowhere/x.png": "no folder nowhere",
    "photo.png/": "photo.png is a file",
    "x": ".png",
    "x.bmp": ".png",
    "x.png.exe": ".png",
    "": ".png",
    ".png": ".png",
    "empty/x.png": "empty/x.png",
    "photo.png": "would replace",
    "link.png": "would replace",
    "hard.png": "would replace",
    "./photo.png": "would replace",
    "taken.png": "is a directory",
    "loop/x.png": "loop",
    "n" * 260 + ".png": "too long",
    "\0.png": "null",
    "blocked.png": "directory",
}


@pytest.mark.parametrize("out", OUTS, ids=short)
def test_places_where_nothing_can_be_written(desk, out):
    make_unusual_files()
    Image.fromarray(PHOTO).save("photo.png")
    os.symlink("photo.png", "link.png")
    os.link("photo.png", "hard.png")
    Path("taken.png").mkdir()
    Path("blocked.gif").mkdir()
    code, line = desk("paint", "photo.png", "--out", out)
    assert code in (2, 3), line
    assert "--out" in line, line
    assert OUTS[out] in line, line
    assert not Path("folder/photo.png").exists()


CHECKPOINTS = {
    "empty": "is a file",
    "loop": "loop",
    "pipe": "is a file",
    "painting.png": "painting.png",
    "painting.gif": "painting.gif",
    "painting.safetensors": "painting.safetensors",
    "empty/x": "empty/x",
    "n" * 300: "too long",
    "\0": "null",
}


@pytest.mark.parametrize("folder", CHECKPOINTS, ids=short)
def test_checkpoints_where_none_can_be(desk, folder):
    make_unusual_files()
    code, line = desk("paint", "--checkpoint", folder)
    assert code in (2, 3), line
    assert CHECKPOINTS[folder] in line, line
    assert "--checkpoint" in line or "--out" in line, line


@pytest.mark.parametrize("folder", ["/proc/self", "/sys/kernel"])
def test_the_folders_of_the_kernel_are_no_place(desk, folder):
    if not Path(folder).is_dir():
        pytest.skip(f"there is no {folder} here, and root may write everywhere else")
    code, line = desk("paint", "--out", f"{folder}/x.png")
    assert code in (2, 3)
    assert "--out" in line
    assert folder in line


def test_the_place_of_the_machine_is_code_3(desk):
    if os.geteuid() == 0:
        pytest.skip("root may read and write everything: nothing to refuse")
    Path("secret.png").touch(mode=0)
    Path("shut").mkdir(mode=0o555)
    assert desk("paint", "secret.png")[0] == 3
    assert desk("paint", "--out", "shut/x.png")[0] == 3
    assert desk("paint", "--checkpoint", "shut/x")[0] == 3


@pytest.fixture
def small_disk(tmp_path):
    "A disk of 64 KiB in memory."
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_full(small_disk):
    "Nothing is left behind, and an older picture stays."
    picture = small_disk / "painting.png"
    picture.write_bytes(b"older")
    (small_disk / "filler").write_bytes(bytes(56_000))
    options = "--size 64 --epochs 2 --quiet --checkpoint kept --force".split()
    result = subprocess.run(
        [sys.executable, "-m", "cadl_flax", "paint", *options],
        cwd=small_disk,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(small_disk / "cache")},
    )
    assert result.returncode == 3, result
    assert "No space left" in result.stderr.splitlines()[-1], result
    assert "Traceback" not in result.stderr, result
    assert not [path for path in small_disk.rglob(".*") if path.name != ".lock"]
    assert not list(small_disk.rglob("*.safetensors"))
    assert picture.read_bytes() == b"older" or read_image(picture).shape == (64, 64, 3)


# Options

NUMBERS = {
    "--size": (int, 0, 2**16),
    "--epochs": (int, 1, 10**9),
    "--seed": (int, 0, 2**32 - 1),
    "--seconds": (float, 0.001, 1e9),
    "--psnr": (float, 0.001, 1e9),
    "--every": (float, 0, 1e9),
}
TYPED_NUMBERS = [
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e400",
    "-0",
    "0",
    "-1",
    "1e-400",
    "",
    " ",
    "0x10",
    "1_0",
    "１２",
    "٣",
    "1,5",
    "1.5",
    "1e3",
    "9" * 5000,
    "None",
    "True",
    "[]",
    "\0",
    "½",
    "--size",
    "-",
    "+1",
    "1 ",
    "1\n",
]


NUMBER_TEXTS = st.one_of(
    st.sampled_from(TYPED_NUMBERS),
    st.floats().map(repr),
    st.integers().map(str),
    st.text(max_size=5),
)


def number_or_none(kind, text):
    "What Python reads from a text as `int` or `float`, if anything."
    try:
        return kind(text)
    except (ValueError, OverflowError):
        return None


@settings(MANY, max_examples=150)
@given(st.sampled_from(sorted(NUMBERS)), NUMBER_TEXTS)
def test_numbers_as_they_are_typed(desk, option, text):
    if "\0" in text:
        return  # no shell can pass it
    kind, low, high = NUMBERS[option]
    number = number_or_none(kind, text)
    code, line = desk("paint", f"{option}={text}")
    if number is not None and low <= number <= high:
        assert code == 0
        return
    assert is_refused(code, line, option), line
    one_line, escaped = " ".join(text.split())[:50], repr(text)[1:50]
    assert any(word in line for word in (one_line, escaped, "not a valid", str(number))), line


@pytest.mark.parametrize(
    "options",
    [
        ["--network", "x"],
        ["--network", ""],
        ["--nonsense"],
        ["--size"],
        ["--out"],
        ["-x"],
        ["--json=1"],
        ["--quiet=no"],
        ["a", "b", "--checkpoint", "c"],
        ["--size", "4", "--size", "x"],
        ["--board"],
        ["--checkpoint"],
        ["--checkpoint", ""],
        ["--epochs", "--size"],
    ],
    ids=" ".join,
)
def test_options_that_are_none(desk, options):
    code, line = desk("paint", *options)
    words = [word.partition("=")[0] for word in options if word]
    assert code == 2, line
    assert any(word in line for word in words), line


EDGES = st.sampled_from(["nan", "inf", "-inf", "0", "1", "-1", "1e300", "x", "-1e-300", ".5"])


def is_window(texts):
    "Whether texts are four numbers, (top, left, bottom, right), in their order and not huge."
    try:
        top, left, bottom, right = map(float, texts)
    except ValueError:
        return False
    return -1e6 < top < bottom < 1e6 and -1e6 < left < right < 1e6


@MANY
@given(st.lists(EDGES, min_size=0, max_size=5))
def test_windows_that_are_none(desk, edges):
    if not Path("p.safetensors").exists():
        save(paint(PHOTO, n_epochs=1, network="mlp"), "p.safetensors")
    code, line = desk("render", "p.safetensors", "--size", 8, "--window", *edges)
    if not is_window(edges):
        assert code == 2
        assert line
    elif code == 0:
        assert max(read_image("rendered.png").shape) == 8
    Path("rendered.png").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "files, words",
    [
        (["photo.png", "other.png"], ["other.png", "12 x 24", "24 x 24"]),
        (["photo.png", "all.png"], ["all.png", "everywhere"]),
        (["photo.png"], ["photo.png", "mask"]),
        (["clear.png"], ["clear.png", "everywhere"]),
    ],
    ids=["another size", "everything", "no mask", "all transparent"],
)
def test_masks_that_are_none(desk, files, words):
    Image.fromarray(PHOTO).save("photo.png")
    Image.fromarray(PHOTO[:12]).save("other.png")
    Image.new("L", (24, 24), 255).save("all.png")
    Image.new("RGBA", (24, 24), (9, 9, 9, 0)).save("clear.png")
    code, line = desk("inpaint", *files)
    assert is_refused(code, line, *words), line


# Files from strangers


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "The arrays and the words of a file of a painting."
    path = tmp_path_factory.mktemp("whole") / "x.safetensors"
    save(paint(PHOTO, n_epochs=2, network="mlp"), path)
    return safetensors.numpy.load_file(path), read_words(path)


def forged(arrays, words, texts={}):
    "A file of format 2 that vouches for itself; `texts` replace words, as JSON where they are."
    words = words | {name: parsed(text) for name, text in texts.items()}
    words["digest"] = _digest(words, arrays)
    metadata = {"cadl_flax": json.dumps(words)}
    Path("x.safetensors").write_bytes(safetensors.numpy.save(arrays, metadata))


def parsed(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def forged_1(arrays, words, texts={}):
    "A file of format 1 that vouches for itself: every word is a text, most of them JSON."
    strings = ("kind", "loss", "digest")
    words = words | {"format": 1, "digest": _digest({"format": 1}, arrays)}
    old = {name: word if name in strings else json.dumps(word) for name, word in words.items()}
    Path("x.safetensors").write_bytes(safetensors.numpy.save(arrays, old | texts))


both_formats = pytest.mark.parametrize("forge", [forged, forged_1])


class Gift:
    "Runs a command when it is unpickled."

    def __reduce__(self):
        return os.system, ("touch opened",)


JSON_TEXTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
).map(json.dumps)
METADATA_TEXTS = st.sampled_from(
    [
        "../../etc/passwd",
        "__import__('os').system('touch opened')",
        "[" * 5000,
        "9" * 5000,
        "1e999",
        "NaN",
        "-1",
        "null",
        "true",
        "",
        "{}",
        "\ud800".encode("utf-8", "replace").decode(),
        "mlp",
        '"mlp"',
        '"grid"',
        '"giant"',
    ]
)


METADATA_NAMES = [
    "kind",
    "network",
    "progress",
    "plan",
    "epoch",
    "batch_size",
    "n_batches",
    "loss",
    "format",
    "versions",
    "settings",
]


@both_formats
@settings(MANY, max_examples=150)
@given(st.sampled_from(METADATA_NAMES), st.one_of(METADATA_TEXTS, JSON_TEXTS))
def test_words_that_lie(desk, whole, forge, name, value):
    arrays, words = whole
    forge(arrays, words, {name: value})
    for command in (["render", "--size", 8], ["resume", "--epochs", 1]):
        code, line = desk(*command, "x.safetensors")
        assert code == 0 or is_refused(code, line, "x.safetensors")
    assert not Path("opened").exists()
    Path("rendered.png").unlink(missing_ok=True)


PLAN_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))


@both_formats
@settings(MANY, max_examples=100)
@given(st.data())
def test_plans_that_lie(desk, whole, forge, data):
    arrays, words = whole
    plan = dict(words["plan"])
    name = data.draw(st.sampled_from([*plan, "extra"]))
    plan[name] = data.draw(PLAN_VALUES)
    forge(arrays, words | {"plan": plan})
    code, line = desk("resume", "x.safetensors")
    assert code == 0 or is_refused(code, line, "x.safetensors", "plan")


@st.composite
def wrong_arrays(draw):
    "Small arrays of any shape and dtype, of one value."
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtypes = [np.float32, np.float64, np.uint8, np.int32, np.uint32, bool, np.float16]
    dtype = draw(st.sampled_from(dtypes))
    if not np.issubdtype(dtype, np.floating):
        return np.ones(shape, dtype)
    return np.full(shape, draw(st.sampled_from([0, 1, 200, np.nan, np.inf])), dtype)


@settings(MANY, max_examples=100)
@given(st.data())
def test_arrays_that_lie(desk, whole, data):
    "One array is wrong, missing or too many."
    arrays, words = whole
    name = data.draw(st.sampled_from([*sorted(arrays), "model.extra", "../../climbs", "optimizer"]))
    wrong = data.draw(wrong_arrays())
    forged_arrays = {key: array for key, array in arrays.items() if key != name}
    if data.draw(st.booleans()):
        forged_arrays[name] = wrong
    forged(forged_arrays, words)
    code, line = desk("render", "x.safetensors", "--size", 8)
    assert code == 0 or is_refused(code, line, "x.safetensors")
    assert not [path for path in Path.cwd().parent.iterdir() if "climbs" in path.name]
    Path("rendered.png").unlink(missing_ok=True)


def table(entries, numbers=b""):
    "A file of safetensors with any head: its length, the head as JSON, and the numbers."
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + numbers


def entry(shape, begin, end):
    "What a head says of an array of bytes: its shape, and where its numbers begin and end."
    return {"dtype": "U8", "shape": shape, "data_offsets": [begin, end]}


PICKLE_AS_SETTINGS = {
    "format": "1",
    "kind": "painting",
    "settings": pickle.dumps(Gift(), 0).decode(),
}
PAINTING = {"format": "1", "kind": "painting", "network": '"mlp"', "loss": "mse"}
DEEP_KIND = '{"format": 2, "kind": ' + "[" * 900 + "]" * 900 + "}"
OVERLAPPING = {"a": entry([2], 0, 2), "b": entry([2], 1, 3)}
BOMBS = {
    "a pickle": pickle.dumps(Gift()),
    "a pickle by another name": table({"__metadata__": PICKLE_AS_SETTINGS}),
    "a shape": table({"image": entry([2**31, 2**31, 3], 0, 0), "__metadata__": PAINTING}),
    "a shape that overflows": table({"image": entry([2**62, 4, 3], 0, 0)}),
    "negative": table({"image": entry([-1, -1], 0, 1)}, b"\0"),
    "past the end": table({"image": entry([9], 0, 9)}),
    "overlapping": table(OVERLAPPING, b"\0\0\0"),
    "a long head": (2**60).to_bytes(8, "little") + b"{}",
    "a deep head": table([[]]) + b"[" * 9999,
    "brackets": (20_000).to_bytes(8, "little") + b"[" * 20_000,
    "no object": table([]),
    "a string": table("x"),
    "nothing": b"",
    "eight zeros": bytes(8),
    "zip": b"PK\3\4" + bytes(99),
    "brackets in the words": table({"__metadata__": {"cadl_flax": "[" * 20_000}}),
    "brackets as a word": table({"__metadata__": {"cadl_flax": DEEP_KIND}}),
    "a long number": table({"__metadata__": {"cadl_flax": '{"format": ' + "9" * 5000 + "}"}}),
    "words that are none": table({"__metadata__": {"cadl_flax": "3"}}),
    "an image of nothing": table({"image": entry([0, 5], 0, 0), "__metadata__": PAINTING}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_that_are_bombs(desk, name):
    Path("x.safetensors").write_bytes(BOMBS[name])
    for command in ("render", "resume"):
        code, line = desk(command, "x.safetensors")
        assert is_refused(code, line, "x.safetensors"), line
    for start in (None, MLP(2, 3, width=4, depth=1, rngs=nnx.Rngs(0))):
        with pytest.raises(ValueError, match="x.safetensors"):
            load("x.safetensors", start)
    assert [path.name for path in Path.cwd().iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("name", BOMBS)
def test_checkpoints_that_are_bombs(desk, name):
    Path("folder").mkdir()
    Path("folder/epoch-00000007.safetensors").write_bytes(BOMBS[name])
    code, line = desk("resume", "folder")
    assert is_refused(code, line, "epoch-00000007.safetensors"), line
    assert [path.name for path in Path.cwd().iterdir()] == ["folder"]


RENDER_AND_MEASURE = """
import sys
from cadl_flax.__main__ import main
code = main(["render", "x.safetensors"])
print(peak_memory())
sys.exit(code)
"""


def test_a_small_file_asks_for_no_large_memory(desk, whole):
    "The network is made as shapes only, until the file has shown numbers of those shapes."
    arrays, words = whole
    huge = {**arrays, "image": np.zeros((1, 4), np.uint8)}
    forged(huge, words | {"network": "grid"})
    program = PEAK_MEMORY + RENDER_AND_MEASURE
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 2
    assert int(result.stdout) < 1.5e6
