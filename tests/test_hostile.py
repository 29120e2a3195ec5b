"""What strangers send and tired people type: one line that names it, exit code 2 or 3, and nothing half-written.

Most of it runs in this process, with training replaced by a note that it would begin; `test_cli.py` has the same as processes."""
import io
import json
import math
import os
import pickle
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

from cadl_flax import __main__ as cli
from cadl_flax.networks import MLP
from cadl_flax.painting import paint
from cadl_flax.pictures import read_image, shrink
from cadl_flax.tracking import _digest, load, save

PHOTO = shrink(data.astronaut(), 24)
MANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """A folder to work in, and `ask(*args)`, which types a command line there.

    It returns the exit code and the last line on stderr, after looking that a failure is one line, with a code for it, and has changed no file."""
    begun = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_train", lambda *args: begun.append(args) or 0)
    def ask(*args):
        def files(): return {path: path.is_dir() or path.lstat().st_mtime_ns for path in Path.cwd().iterdir() if path.name != "kept"}
        before, _ = files(), capsys.readouterr()
        code = cli.main([str(a) for a in args])
        said = capsys.readouterr()
        if code:
            assert code in (2, 3) and said.out == "" and said.err.count("\n") == 1 and said.err.startswith("cadl-flax: "), (code, said)
            assert files() == before
        return code, said.err
    ask.begun = begun
    return ask


def saved(mode, kind, **options):
    "The photo in a mode of Pillow, as the bytes of a file; `None` where the format has no such mode."
    image = Image.fromarray(PHOTO).convert("RGB").convert(mode if mode not in ("I;16", "RGBa", "La") else "L" if mode != "RGBa" else "RGBA")
    if mode in ("I;16", "RGBa", "La"): image = image.convert("I").point(lambda v: v*257).convert("I;16") if mode == "I;16" else image if mode == "RGBa" else image.convert("LA")
    out = io.BytesIO()
    try: image.save(out, kind, **options)
    except Exception: return None
    return out.getvalue()


Image.init()
KINDS = sorted(set(Image.SAVE) - {"PDF"})
MODES = ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]
FILES = {(mode, kind): content for kind in KINDS for mode in (MODES if kind != "ICNS" else ["RGB"]) if (content := saved(mode, kind))}


def test_the_list_is_long(): assert len(FILES) > 100 and {"PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"} <= {kind for _, kind in FILES}


@pytest.mark.parametrize("kind", sorted({kind for _, kind in FILES}))
def test_every_format_and_mode_of_pillow(desk, kind):
    for mode in (mode for mode, k in FILES if k == kind):
        Path("x.jpg").write_bytes(FILES[mode, kind]) # whatever the name says
        code, line = desk("paint", "x.jpg", "--size", 8)
        if code: assert "x.jpg" in line and ("32 bits" in line or "not a picture" in line or "damaged" in line), (mode, line)
        elif kind in ("PNG", "TIFF", "BMP", "PPM", "WEBP"):
            picture = read_image("x.jpg")
            assert picture.dtype in (np.uint8, np.uint16) and picture.shape[:2] == PHOTO.shape[:2]
            gray = picture[..., :3].mean(2) if picture.ndim == 3 else picture/(257 if picture.dtype == np.uint16 else 1)
            if mode != "1" and (mode != "I;16" or picture.dtype == np.uint16): assert abs(gray - PHOTO.mean(2)).mean() < 15 # upright, and as bright as it was


@MANY
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1))
def test_half_a_file(desk, which, part):
    content = FILES[which]
    Path("x.png").write_bytes(content[:int(part*len(content))])
    code, line = desk("paint", "x.png", "--size", 8)
    assert code == 0 or code == 2 and "x.png" in line


@MANY
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, .999), st.integers(0, 255)), min_size=1, max_size=20))
def test_changed_bytes(desk, which, changes):
    content = bytearray(FILES[which])
    for at, byte in changes: content[int(at**3*len(content))] = byte # most of them near the beginning
    Path("x.png").write_bytes(content)
    code, line = desk("paint", "x.png", "--size", 8)
    assert code == 0 or code == 2 and "x.png" in line


@MANY
@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\xff\xff\xff\xffWEBP", b"8BPS", b"P6 9 9 255\n", b"%!PS-Adobe-3.0 EPSF\n", b"\0\0\1\0", b"\x80\x04"]), st.binary(max_size=300))
def test_noise_after_a_promise(desk, promise, noise):
    Path("x.png").write_bytes(promise + noise)
    for line in (["paint", "x.png"], ["inpaint", "x.png"], ["resume", "x.png"], ["render", "x.png"]):
        code, said = desk(*line, "--out", "y.png")
        assert code == 2 and "x.png" in said or line[0] == "paint" and code == 0


def animation(kind):
    frames = [Image.fromarray(np.roll(PHOTO, i, 0)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_film_the_first_picture_counts(desk, kind):
    Path("x").write_bytes(animation(kind))
    assert abs(read_image("x").astype(int) - PHOTO).mean() < 20
    assert desk("paint", "x")[0] == 0


@pytest.mark.parametrize("orientation", [0, 2, 3, 4, 5, 6, 7, 8, 9, 65535])
def test_photos_are_turned_as_the_camera_says(desk, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO[:, :12]).save("x.png", exif=exif)
    turn = {2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1], 5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, -1), 7: lambda p: p[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}.get(orientation, lambda p: p)
    np.testing.assert_array_equal(read_image("x.png"), turn(PHOTO[:, :12]))
    assert desk("paint", "x.png")[0] == 0


@pytest.mark.parametrize("w, h, word", [(40_000, 40_000, "too large"), (2**31 - 1, 2**31 - 1, "too large"), (0, 0, "x.png"), (0, 5, "x.png"), (20_000, 9000, "too large"), (3, 3, "damaged")])
def test_pictures_that_promise_too_much(desk, w, h, word):
    Path("x.png").write_bytes(declared(w, h))
    code, line = desk("paint", "x.png")
    assert code == 2 and "x.png" in line and word in line


def test_a_program_in_postscript_is_not_run(desk):
    Path("x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(done) (w) file closefile showpage\n")
    assert desk("paint", "x.png") == (2, "cadl-flax: x.png is not a picture that can be read\n")


def test_sixteen_bits_and_three_channels_are_for_arrays(desk):
    "Pillow reads such a file with 8 bits; the array keeps them all."
    import cv2
    cv2.imwrite("x.png", PHOTO.astype(np.uint16)*257)
    assert read_image("x.png").dtype == np.uint8
    assert paint(PHOTO.astype(np.uint16)*257, n_epochs=1, network="mlp").image.dtype == np.uint16


def test_numbers_that_are_not_finite_are_no_picture(desk):
    for bad in (np.nan, np.inf, -np.inf, -.01, 1.01):
        broken = PHOTO/255
        broken[3, 4, 1] = bad
        with pytest.raises(ValueError, match="image has values from"): paint(broken)
        Image.fromarray(broken[..., 1].astype(np.float32)).save("x.tiff")
        assert desk("paint", "x.tiff")[0] == 2


# Paths

def special():
    "Names that are no pictures, and a word of what is said of them."
    Path("folder").mkdir(exist_ok=True)
    if not Path("loop").is_symlink():
        os.symlink("loop", "loop"), os.symlink("round", "about"), os.symlink("about", "round"), os.symlink("nowhere", "dangling"), os.mkfifo("pipe")
    Path("empty").write_bytes(b"")
    Path("a\nb").write_bytes(b"no picture")
    return {"nowhere": "No such file", "": "", "folder": "directory", ".": "directory", "/": "directory", "loop": "symbolic links", "about": "symbolic links", "dangling": "No such file", "pipe": "a pipe", "/dev/zero": "a pipe",
            "/dev/null": "a pipe", "empty": "empty", "empty/x": "Not a directory", "a\nb": "a b", "n"*300: "too long", "x/"*3000: "too long", "\0": "null", "nul\0in": "null", "-1": "-1", "--": "", "~/nowhere": "No such file",
            "https://example.org/x.png": "No such file", "*": "No such file", "$(rm -rf x)": "No such file"}


NAMES = ["nowhere", "", "folder", ".", "/", "loop", "about", "dangling", "pipe", "/dev/zero", "/dev/null", "empty", "empty/x", "a\nb", "n"*300, "x/"*3000, "\0", "nul\0in", "-1", "~/nowhere", "https://example.org/x.png", "*", "$(rm -rf x)"]


@pytest.mark.parametrize("name", NAMES, ids=lambda n: repr(n)[:20])
@pytest.mark.parametrize("command", ["paint", "inpaint", "resume", "render"])
def test_names_that_are_no_files(desk, name, command):
    word = special()[name]
    code, line = desk(command, name, *["--out", "out.png"]*(command != "paint"))
    assert code == 2 and line.isprintable() is False or "\\x00" not in line
    assert code == 2 and (word in line or "checkpoint" in line), line
    Image.fromarray(PHOTO).save("photo.png")
    if command == "inpaint": assert desk("inpaint", "photo.png", name)[0] == 2


OUTS = {"nowhere/x.png": "no folder nowhere", "folder/": ".png", "x": ".png", "x.jpg": ".png", "x.png.exe": ".png", "": ".png", ".png": ".png", "empty/x.png": "empty/x.png", "photo.png": "would replace", "link.png": "would replace",
        "hard.png": "would replace", "./photo.png": "would replace", "taken.png": "is a directory", "loop/x.png": "loop", "n"*260 + ".png": "too long", "\0.png": "null", "blocked.png": "directory"}


@pytest.mark.parametrize("out", OUTS, ids=lambda n: repr(n)[:20])
def test_places_where_nothing_can_be_written(desk, out):
    special()
    Image.fromarray(PHOTO).save("photo.png")
    os.symlink("photo.png", "link.png"), os.link("photo.png", "hard.png"), Path("taken.png").mkdir(), Path("blocked.gif").mkdir()
    code, line = desk("paint", "photo.png", "--out", out)
    assert code in (2, 3) and "--out" in line and OUTS[out] in line, line


def test_checkpoints_where_none_can_be(desk):
    special()
    for name, word in {"empty": "is a file", "loop": "loop", "pipe": "is a file", "painting.png": "painting.png", "painting.gif": "painting.gif", "painting.safetensors": "painting.safetensors", "empty/x": "empty/x", "n"*300: "too long", "\0": "null"}.items():
        code, line = desk("paint", "--checkpoint", name)
        assert code in (2, 3) and word in line and ("--checkpoint" in line or "--out" in line), line


def test_the_place_of_the_machine_is_code_3(desk):
    for place in ("/proc/self", "/sys/kernel"):
        if not Path(place).is_dir(): pytest.skip(f"there is no {place} here, and root may write everywhere else")
        code, line = desk("paint", "--out", f"{place}/x.png")
        assert "--out" in line and place in line and code in (2, 3)
    if os.geteuid() == 0: pytest.skip("root may read and write everything: nothing to refuse")
    Path("secret.png").touch(mode=0)
    assert desk("paint", "secret.png")[0] == 3
    Path("shut").mkdir(mode=0o555)
    assert desk("paint", "--out", "shut/x.png")[0] == 3 == desk("paint", "--checkpoint", "shut/x")[0]


def test_a_disk_that_is_full(tmp_path):
    "A small disk of memory, filled to the last bytes: nothing is left behind, and an older picture stays."
    place = tmp_path/"disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode: pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        (place/"painting.png").write_bytes(b"older")
        (place/"filler").write_bytes(bytes(56_000))
        result = subprocess.run([sys.executable, "-m", "cadl_flax", "paint", "--size", "64", "--epochs", "2", "--quiet", "--checkpoint", "kept"], cwd=place, capture_output=True, text=True, timeout=200, env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(place/"cache")})
        assert result.returncode == 3 and "No space left" in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr, result
        assert not [path for path in place.rglob(".*") if path.name != ".lock"] and not list(place.rglob("*.safetensors"))
        assert (place/"painting.png").read_bytes() == b"older" or read_image(place/"painting.png").shape == (64, 64, 3)
    finally: subprocess.run(["umount", place], check=True)


# Options

NUMBERS = {"--size": (int, 1, 2**16), "--epochs": (int, 1, 10**9), "--seed": (int, 0, 2**32 - 1), "--seconds": (float, .001, 1e9), "--psnr": (float, .001, 1e9), "--every": (float, 0, 1e9)}
ODD = ["nan", "-nan", "inf", "-inf", "1e400", "-0", "0", "-1", "1e-400", "", " ", "0x10", "1_0", "１２", "٣", "1,5", "1.5", "1e3", "9"*5000, "None", "True", "[]", "\0", "½", "--size", "-", "+1", "1 ", "1\n"]


@settings(MANY, max_examples=150)
@given(st.sampled_from(sorted(NUMBERS)), st.one_of(st.sampled_from(ODD), st.floats().map(repr), st.integers().map(str), st.text(max_size=5)))
def test_numbers_as_they_are_typed(desk, option, value):
    if "\0" in value: return # no shell can pass it
    kind, low, high = NUMBERS[option]
    try: meant = kind(value)
    except (ValueError, OverflowError): meant = None
    code, line = desk("paint", f"{option}={value}")
    if meant is not None and low <= meant <= high: assert code == 0
    else: assert code == 2 and option in line and (" ".join(value.split())[:50] in line or repr(value)[1:50] in line or "not a valid" in line or str(meant) in line), line


@pytest.mark.parametrize("line", [["--network", "x"], ["--network", ""], ["--nonsense"], ["--size"], ["--out"], ["-x"], ["--json=1"], ["--quiet=no"], ["a", "b"], ["--size", "4", "--size", "x"], ["--board"], ["--checkpoint"], ["--checkpoint", ""], ["--epochs", "--size"]], ids=" ".join)
def test_options_that_are_none(desk, line):
    code, said = desk("paint", *line)
    assert code == 2 and any(word.partition("=")[0] in said for word in line if word), said


@MANY
@given(st.lists(st.sampled_from(["nan", "inf", "-inf", "0", "1", "-1", "1e300", "x", "-1e-300", ".5"]), min_size=0, max_size=5))
def test_windows_that_are_none(desk, numbers):
    if not Path("p.safetensors").exists(): save(paint(PHOTO, n_epochs=1, network="mlp"), "p.safetensors")
    code, line = desk("render", "p.safetensors", "--size", 8, "--window", *numbers)
    try: top, left, bottom, right = map(float, numbers)
    except ValueError: top = math.nan
    if not (not math.isnan(top) and -1e6 < top < bottom < 1e6 and -1e6 < left < right < 1e6): assert code == 2 and line
    elif code == 0: assert max(read_image("rendered.png").shape) == 8
    Path("rendered.png").unlink(missing_ok=True)


def test_masks_that_are_none(desk):
    Image.fromarray(PHOTO).save("photo.png")
    Image.fromarray(PHOTO[:12]).save("other.png")
    Image.new("L", (24, 24), 255).save("all.png")
    Image.new("RGBA", (24, 24), (9, 9, 9, 0)).save("clear.png")
    for line, words in {("photo.png", "other.png"): ["other.png", "12 x 24", "24 x 24"], ("photo.png", "all.png"): ["all.png", "everywhere"], ("photo.png",): ["photo.png", "MASK"], ("clear.png",): ["clear.png", "everywhere"]}.items():
        code, said = desk("inpaint", *line)
        assert code == 2 and all(word in said for word in words), said


# Files from strangers

@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "The arrays and the words of a file of a painting."
    path = tmp_path_factory.mktemp("whole")/"x.safetensors"
    save(paint(PHOTO, n_epochs=2, network="mlp"), path)
    with safetensors.safe_open(path, "numpy") as file: return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def forged(arrays, words, path="x.safetensors"):
    "A file that vouches for itself."
    Path(path).write_bytes(safetensors.numpy.save(arrays, words | {"digest": _digest(arrays)}))


class Gift:
    def __reduce__(self): return os.system, ("touch opened",)


ODD_JSON = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2)).map(json.dumps)
ODD_WORDS = st.one_of(st.sampled_from(["../../etc/passwd", "__import__('os').system('touch opened')", "[" * 5000, "9"*5000, "1e999", "NaN", "-1", "null", "true", "", "{}", "\ud800".encode("utf-8", "replace").decode(), "mlp", '"mlp"', '"grid"', '"giant"']), ODD_JSON)


@settings(MANY, max_examples=150)
@given(st.sampled_from(["kind", "network", "progress", "plan", "epoch", "batch_size", "n_batches", "loss", "format", "versions", "settings"]), ODD_WORDS)
def test_words_that_lie(desk, whole, name, value):
    arrays, words = whole
    forged(arrays, words | {name: value})
    code, line = desk("render", "x.safetensors", "--size", 8)
    assert code == 2 and "x.safetensors" in line or code == 0
    code, line = desk("resume", "x.safetensors", "--epochs", 1)
    assert code == 2 and ("x.safetensors" in line) or code == 0
    assert not Path("opened").exists()
    Path("rendered.png").unlink(missing_ok=True)


@settings(MANY, max_examples=100)
@given(st.data())
def test_plans_that_lie(desk, whole, data):
    arrays, words = whole
    plan = json.loads(words["plan"])
    plan[data.draw(st.sampled_from([*plan, "extra"]))] = data.draw(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)))
    forged(arrays, words | {"plan": json.dumps(plan)})
    code, line = desk("resume", "x.safetensors")
    assert code == 2 and "x.safetensors" in line and "plan" in line or code == 0


@settings(MANY, max_examples=100)
@given(st.data())
def test_arrays_that_lie(desk, whole, data):
    arrays, words = whole
    name = data.draw(st.sampled_from([*sorted(arrays), "model.extra", "../../climbs", "optimizer"]))
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.uint32, bool, np.float16]))
    wrong = np.full(shape, data.draw(st.sampled_from([0, 1, 200, np.nan, np.inf])) if np.issubdtype(dtype, np.floating) else 1, dtype)
    forged({k: v for k, v in arrays.items() if k != name} | ({name: wrong} if data.draw(st.booleans()) else {}), words)
    code, line = desk("render", "x.safetensors", "--size", 8)
    assert code == 2 and "x.safetensors" in line or code == 0
    assert sorted(path.name for path in Path.cwd().parent.iterdir() if "climbs" in path.name) == []
    Path("rendered.png").unlink(missing_ok=True)


def table(entries, numbers=b""):
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + numbers


BOMBS = {"a pickle": pickle.dumps(Gift()), "a pickle by another name": table({"__metadata__": {"format": "1", "kind": "painting", "settings": pickle.dumps(Gift(), 0).decode()}}),
         "a shape": table({"image": {"dtype": "U8", "shape": [2**31, 2**31, 3], "data_offsets": [0, 0]}, "__metadata__": {"format": "1", "kind": "painting", "network": '"mlp"', "loss": "mse"}}),
         "a shape that overflows": table({"image": {"dtype": "U8", "shape": [2**62, 4, 3], "data_offsets": [0, 0]}}), "negative": table({"image": {"dtype": "U8", "shape": [-1, -1], "data_offsets": [0, 1]}}, b"\0"),
         "past the end": table({"image": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}), "overlapping": table({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}, b"\0\0\0"),
         "a long head": (2**60).to_bytes(8, "little") + b"{}", "a deep head": table([[]]) + b"["*9999, "brackets": (20_000).to_bytes(8, "little") + b"["*20_000, "no object": table([]), "a string": table("x"), "nothing": b"", "eight zeros": bytes(8), "zip": b"PK\3\4" + bytes(99),
         "an image of nothing": table({"image": {"dtype": "U8", "shape": [0, 5], "data_offsets": [0, 0]}, "__metadata__": {"format": "1", "kind": "painting", "network": '"mlp"', "loss": "mse"}})}


@pytest.mark.parametrize("name", BOMBS)
def test_files_that_are_bombs(desk, name):
    Path("x.safetensors").write_bytes(BOMBS[name])
    for command in ("render", "resume"):
        code, line = desk(command, "x.safetensors")
        assert code == 2 and "x.safetensors" in line, line
    for start in (None, MLP(2, 3, width=4, depth=1, rngs=nnx.Rngs(0))):
        with pytest.raises(ValueError, match="x.safetensors"): load("x.safetensors", start)
    Path("folder").mkdir()
    Path("folder/epoch-00000007.safetensors").write_bytes(BOMBS[name])
    code, line = desk("resume", "folder")
    assert code == 2 and "epoch-00000007.safetensors" in line
    assert not Path("opened").exists() and sorted(path.name for path in Path.cwd().iterdir() if path.suffix != ".safetensors") == ["folder"]


def test_a_small_file_asks_for_no_large_memory(desk, whole):
    "The network is made as shapes only, until the file has shown numbers of those shapes."
    arrays, words = whole
    huge = {**arrays, "image": np.zeros((1, 4), np.uint8)}
    forged(huge, words | {"network": '"grid"'})
    program = PEAK_MEMORY + """
import sys
from cadl_flax.__main__ import main
code = main(["render", "x.safetensors"])
print(peak_memory())
sys.exit(code)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 2 and int(result.stdout) < 1.5e6
