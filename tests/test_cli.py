"The command line: what a user types, what comes back, and what is left on the disk."

import itertools
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from flax import nnx
from PIL import Image
from skimage import data
from test_pictures import declared

from cadl_flax import __main__ as cli
from cadl_flax.networks import count_parameters
from cadl_flax.presets import PRESETS, make_network
from cadl_flax.pictures import psnr, read_image, shrink
from cadl_flax.tracking import load

THREE = ["painting.gif", "painting.png", "painting.safetensors"]
QUICK = ["--size", "12", "--epochs", "2", "--quiet"]
PROGRAM = [sys.executable, "-m", "cadl_flax"]


def run(*args, cwd, **options):
    "What a command line answers, as a process of its own."
    return subprocess.run(
        [*PROGRAM, *map(str, args)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def own_cache(folder):
    """An environment with a cache of compiled programs in `folder`.

    A process that is killed may leave a program half-written there, which no other test should
    find."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    homes = ["XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"]
    return others | dict.fromkeys(homes, str(folder / "cache"))


def assert_failed(result, code, *words):
    "Look for one line on stderr with `words`, nothing on stdout, and the exit code."
    assert result.returncode == code, result
    assert result.stdout == "", result
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("cadl-flax: "), result.stderr
    for word in words:
        assert word in result.stderr


def assert_succeeded(result):
    "Look that the exit code is 0."
    assert result.returncode == 0, result.stderr


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    "`run` in this process, in an empty folder."
    monkeypatch.chdir(tmp_path)

    def ask(*args):
        capsys.readouterr()  # forgets what was shown before
        code = cli.main([str(arg) for arg in args])
        output = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, output.out, output.err)

    return ask


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    "A folder with photos of many kinds, and with files that are none."
    folder = tmp_path_factory.mktemp("photos")
    photo = shrink(data.astronaut(), 64)
    alpha = np.full((64, 64), 200, np.uint8)
    Image.fromarray(photo[..., 0]).save(folder / "gray.jpg")
    Image.fromarray(np.dstack([photo, alpha])).save(folder / "clear.png")
    Image.fromarray(data.astronaut()[:90, :400]).save(folder / "wide.jpg")
    (folder / "notes.txt").write_text("no picture")
    (folder / "film.gif").mkdir()
    (folder / "bomb.png").write_bytes(declared(40_000, 40_000))
    (folder / "half.jpg").write_bytes((folder / "wide.jpg").read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    "A folder with a painting of the default picture, and what the command answered."
    folder = tmp_path_factory.mktemp("painted")
    result = run("paint", "--size", "64", cwd=folder)
    assert_succeeded(result)
    return folder, result


def test_paint_writes_the_painting_and_its_film(painted):
    folder, _ = painted
    assert sorted(os.listdir(folder)) == THREE
    painting = read_image(folder / "painting.png")
    with Image.open(folder / "painting.gif") as gif:
        assert gif.n_frames >= 15
        assert gif.info["loop"] == 0
        gif.seek(gif.n_frames - 1)
        assert psnr(np.array(gif.convert("RGB")), painting) >= 30
    saved = load(folder / "painting.safetensors")
    np.testing.assert_array_equal((saved.render() * 255).round(), painting)


def test_paint_says_what_it_has_painted(painted):
    folder, result = painted
    last = result.stdout.strip().splitlines()[-1]
    parameters = count_parameters(make_network("full-grid", 64, 64)(2, 3, rngs=nnx.Rngs(0)))
    assert all(line.startswith("epoch ") for line in result.stderr.splitlines())
    assert last.startswith("painting.png, painting.gif, painting.safetensors: ")
    assert f"{parameters:,} parameters" in last
    assert last.endswith(" s")
    stated = float(last.split(": ")[1].split(" dB")[0])
    measured = psnr(read_image(folder / "painting.png"), shrink(data.astronaut(), 64))
    assert stated >= 28
    assert abs(measured - stated) < 0.06


@pytest.mark.parametrize(
    "name, shape", [("gray.jpg", (12, 12)), ("clear.png", (12, 12, 4)), ("wide.jpg", (3, 12, 3))]
)
def test_photos_of_every_kind(photos, here, tmp_path, name, shape):
    result = here("paint", photos / name, *QUICK, "--out", "x.png")
    assert result.returncode == 0
    assert result.stderr == ""
    assert read_image(tmp_path / "x.png").shape == shape


@pytest.mark.parametrize(
    "args, words",
    [
        (["missing.jpg"], ["missing.jpg", "No such file"]),
        (["{photos}/notes.txt"], ["notes.txt", "not a picture"]),
        (["{photos}"], ["directory"]),
        (["{photos}/bomb.png"], ["bomb.png", "too large"]),
        (["{photos}/half.jpg"], ["half.jpg", "damaged"]),
        (["--size", "-1"], ["--size", "-1"]),
        (["--size", "x"], ["--size", "x"]),
        (["--epochs", "0"], ["--epochs", "0"]),
        (["--seconds", "-1"], ["--seconds", "-1"]),
        (["--seconds", "nan"], ["--seconds", "nan"]),
        (["--seconds", "inf"], ["--seconds", "inf"]),
        (["--every", "nan"], ["--every", "nan"]),
        (["--psnr", "0"], ["--psnr", "0"]),
        (["--board"], ["--board", "--checkpoint"]),
        (["--checkpoint", "{photos}/notes.txt"], ["--checkpoint", "notes.txt", "is a file"]),
        (["--out", "{photos}/film.png"], ["--out", "film.gif", "directory"]),
        (["--seed", "-1"], ["--seed", "-1"]),
        (["--network", "giant"], ["--network", "giant"]),
        (["--colour"], ["--colour"]),
        (["a", "b", "--checkpoint", "c"], ["--checkpoint", "one image"]),
        (["a", "b", "--out", "c.png"], ["--out", "c.png", "folder"]),
        (["--out", "no/x.png"], ["--out", "no"]),
        (["--out", "x.bmp"], ["--out", "x.bmp"]),
        (["{photos}/clear.png", "--out", "{photos}/clear.png"], ["--out", "clear.png"]),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_exit_code_2(photos, tmp_path, args, words):
    args = [arg.replace("{photos}", str(photos)) for arg in args]
    assert_failed(run("paint", *args, cwd=tmp_path), 2, *words)
    assert os.listdir(tmp_path) == []


NO_TEXT = b"\xff.png".decode(errors="surrogateescape")


def test_names_need_not_be_text(photos, tmp_path):
    result = run("paint", NO_TEXT, cwd=tmp_path)
    assert_failed(result, 2, "udcff.png", "No such file")
    assert_succeeded(run("paint", photos / "gray.jpg", *QUICK, "--out", NO_TEXT, cwd=tmp_path))
    assert len(os.listdir(tmp_path)) == 3


def is_unwritable(folder):
    "Whether a folder is there in which no file can be created."
    probe = os.path.join(folder, "probe.png")
    try:
        open(probe, "x", encoding="utf-8").close()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    os.unlink(probe)
    return False


def unwritable(tmp_path):
    """A folder in which nobody may write.

    One without permission, or one of the kernel's for root, whom permissions do not stop."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    for candidate in (folder, "/proc/self", "/sys/kernel"):
        if is_unwritable(candidate):
            return candidate
    pytest.skip("every folder can be written here")


def test_an_unwritable_output_is_exit_code_3(tmp_path):
    out = os.path.join(unwritable(tmp_path), "x.png")
    assert_failed(run("paint", "--out", out, cwd=tmp_path), 3, "--out", "cannot be written")


PAINT_WITH_FILES_OF_60_BYTES = """
import resource
import signal
import sys
import cadl_flax.painting
import cadl_flax.pictures
from cadl_flax.__main__ import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))
sys.exit(main(["paint", "--size", "12", "--epochs", "2", "--quiet"]))
"""


def test_a_full_disk_is_exit_code_3_and_leaves_nothing(tmp_path, tmp_path_factory):
    environment = own_cache(tmp_path_factory.mktemp("home"))
    result = subprocess.run(
        [sys.executable, "-c", PAINT_WITH_FILES_OF_60_BYTES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert_failed(result, 3, "--out painting.png")
    assert os.listdir(tmp_path) == []


# A job in the background is born with SIGINT ignored.
PAINT_LONG = """
import signal
import sys
from cadl_flax.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["paint", "--seconds", "100"]))
"""


def interrupted(folder, log, by):
    "Paint, interrupt it once it is under way: the exit code and what is on stdout."
    with (
        open(log, "w", encoding="utf-8") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", PAINT_LONG],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        began = time.time()
        while "loss" not in log.read_text() and time.time() - began < 120:
            time.sleep(0.1)
        process.send_signal(by)
        out, _ = process.communicate(timeout=60)
    return process.returncode, out


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_what_there_is(tmp_path, tmp_path_factory, by):
    log = tmp_path_factory.mktemp("log") / "stderr"
    code, out = interrupted(tmp_path, log, by)
    assert code == 130, log.read_text()
    assert "interrupted after" in out
    assert "to go on: cadl-flax resume painting.safetensors" in out
    assert read_image(tmp_path / "painting.png").shape == (128, 128, 3)
    assert sorted(os.listdir(tmp_path)) == THREE
    epochs = load(tmp_path / "painting.safetensors").run.epoch
    result = run("resume", "painting.safetensors", "--epochs", "3", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["epochs"] == epochs + 3


def test_seconds_are_a_way_to_say_how_long(here):
    assert_succeeded(here("paint", "--size", "12", "--seconds", "1", "--quiet"))


def test_seconds_and_seed(tmp_path, here):
    pictures = []
    for seed in ([], ["--seed", "0"], ["--seed", "1"]):
        assert_succeeded(here("paint", *QUICK, *seed, "--network", "mlp"))
        pictures.append((tmp_path / "painting.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


ASK_WITHOUT_JAX = """
import sys
from cadl_flax.__main__ import main

assert main("paint --help".split()) == 0
for line in sys.argv[1:]:
    assert main(line.split()) == 2, line
sys.exit("jaxlib" in sys.modules)
"""
REFUSED_AT_ONCE = [
    "paint --size x",
    "paint nowhere.jpg",
    "paint --out nowhere/x.png",
    "resume nowhere",
    "render nowhere",
    "inpaint nowhere",
    "paint /dev/null",
    "inpaint /dev/null",
]


def test_help_costs_no_import_of_jax(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", ASK_WITHOUT_JAX, *REFUSED_AT_ONCE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert_succeeded(result)


@pytest.mark.parametrize("args", [[], ["--help"], ["--version"]])
def test_the_top_level_answers(tmp_path, args):
    result = run(*args, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.strip()
    assert result.stderr == ""


def read_all(file):
    "What comes from a terminal until its other end is closed."
    text = b""
    try:
        while part := os.read(file, 4096):
            text += part
    except OSError:  # the other end is closed
        pass
    return text


def test_a_bar_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [*PROGRAM, "paint", "--size", "24"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        screen = read_all(ours)
    assert process.returncode == 0
    assert b"100%" in screen
    assert b"dB" in screen
    assert b"\r" in screen


def seconds_left(line):
    "What a line of a log says of the time left."
    return float(line.removesuffix(" s left").split()[-1])


def test_lines_in_a_log(here, monkeypatch):
    clock = itertools.count(0, 3.0)
    monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    result = here("paint", "--size", "12", "--epochs", "9", "--out", "x.png")
    assert_succeeded(result)
    lines = result.stderr.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("epoch ") and line.endswith(" s left") for line in lines)
    assert seconds_left(lines[-1]) <= seconds_left(lines[0])


def test_quiet_is_no_line_in_a_log(here, monkeypatch):
    clock = itertools.count(0, 3.0)
    monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    result = here("paint", "--size", "12", "--epochs", "9", "--quiet", "--out", "x.png")
    assert_succeeded(result)
    assert result.stderr == ""


def lines_of(monkeypatch, capsys, *moments):
    "What a log says of paintings that come at `moments`: pairs of seconds and progress."
    times = iter([0, *(seconds for seconds, _ in moments)])
    monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    run = SimpleNamespace(epoch=1)
    paintings = [SimpleNamespace(progress=share, history=[0.26], run=run) for _, share in moments]
    assert list(cli._with_lines(paintings)) == paintings
    return capsys.readouterr().err.splitlines()


def test_no_time_is_left_in_a_log_before_it_can_be_told(monkeypatch, capsys):
    "The first epoch takes long, compiling included: only the second says how long one takes."
    lines = partial(lines_of, monkeypatch, capsys)
    first, second = lines((60, 0.01), (66, 0.03))
    assert first == "epoch 1, 1%, loss 2.60e-01"
    assert second.endswith(f", {6 * 97 / 2:.0f} s left")
    assert lines((6, 0.5), (12, 0.5)) == ["epoch 1, 50%, loss 2.60e-01"] * 2
    resumed = lines((6, 0.9), (12, 0.95))
    assert resumed[1].endswith(", 6 s left")
    assert lines((1, 0.2), (2, 1.0)) == []


FAILURES = {
    "a missing file": (2, ["paint", "nowhere.jpg"]),
    "a missing file to go on from": (2, ["resume", "nowhere"]),
    "a missing painting": (2, ["render", "nowhere"]),
    "a missing mask": (2, ["inpaint", "gray.jpg", "nowhere.png"]),
    "an option that is none": (2, ["paint", "--colour", "red"]),
    "a number that is none": (2, ["doctor", "--size", "x"]),
    "a command that is none": (2, ["print"]),
    "an argument that is missing": (2, ["inpaint"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_json_is_one_line_for_failures_too(photos, here, name):
    code, line = FAILURES[name]
    plain, result = here(*line), here(*line, "--json")
    assert plain.returncode == result.returncode == code
    assert plain.stdout == ""
    assert plain.stderr == result.stderr
    assert result.stdout.count("\n") == 1
    error = result.stderr.removeprefix("cadl-flax: ").rstrip("\n")
    assert json.loads(result.stdout) == dict(error=error, code=result.returncode)


def test_json_is_one_line_for_an_unwritable_output_too(here, tmp_path):
    out = os.path.join(unwritable(tmp_path), "x.png")
    plain, result = here("paint", "--out", out), here("paint", "--out", out, "--json")
    assert plain.returncode == result.returncode == 3
    assert plain.stdout == ""
    assert plain.stderr == result.stderr
    assert result.stdout.count("\n") == 1
    error = result.stderr.removeprefix("cadl-flax: ").rstrip("\n")
    assert json.loads(result.stdout) == dict(error=error, code=3)


def failing(error):
    "A function that raises an error, whatever it is given."

    def fail(*args):
        raise error

    return fail


@pytest.mark.parametrize(
    "error, message",
    [
        (RuntimeError("a fault of ours"), "RuntimeError: a fault of ours"),
        (
            FileNotFoundError(2, "gone", "own.txt"),
            "FileNotFoundError: [Errno 2] gone: 'own.txt'",
        ),
    ],
    ids=["bug", "own file"],
)
def test_json_is_one_line_for_bugs(here, monkeypatch, capsys, error, message):
    "A stack trace follows, with Python's exit code for it."
    monkeypatch.setattr(cli, "_read_picture", failing(error))
    with pytest.raises(type(error)):
        here("paint", "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == dict(error=message, code=1)


def test_json_is_one_line_for_interrupts(here, monkeypatch):
    monkeypatch.setattr(cli, "_read_picture", failing(KeyboardInterrupt()))
    result = here("paint", "--json")
    assert result.returncode == 130
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout) == dict(error="interrupted", code=130)


def test_json_after_two_dashes_is_a_name(here):
    result = here("paint", "--", "--json")
    assert_failed(result, 2, "--json: No such file")


@pytest.mark.parametrize(
    "line, code",
    [
        (["--help"], 3),
        (["paint", "--help"], 3),
        ([], 3),
        (["--version"], 3),
        (["paint", *QUICK], 3),
        (["paint", "nowhere.jpg", "--json"], 2),
    ],
    ids=str,
)
def test_an_output_that_is_full_is_a_line(tmp_path, line, code):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(
            [*PROGRAM, *line],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )
    assert result.returncode == code, result
    assert result.stderr.startswith("cadl-flax: "), result
    assert result.stderr.count("\n") == 1, result
    if code == 3:
        assert "No space left" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        ["paint", ""],
        ["resume", ""],
        ["render", ""],
        ["inpaint", ""],
        ["inpaint", "gray.jpg", ""],
        ["paint", "--out", ""],
        ["render", "x", "--out", ""],
    ],
    ids=str,
)
def test_a_name_of_no_letters_is_named(photos, here, tmp_path, line):
    for name in ("gray.jpg", "x"):
        (tmp_path / name).write_bytes((photos / "gray.jpg").read_bytes())
    assert_failed(here(*line), 2, "''")


def test_json_is_one_line_for_machines(photos, tmp_path, here):
    def facts(*line):
        return json.loads(here(*line, "--json").stdout)

    painting = facts("paint", photos / "gray.jpg", *QUICK)
    assert painting["files"] == ["painting.png", "painting.gif", "painting.safetensors"]
    assert painting["epochs"] == 2
    assert painting["interrupted"] is False
    rendering = facts("render", "painting.safetensors", "--size", "30")
    assert (rendering["height"], rendering["width"]) == (30, 30)
    assert read_image(tmp_path / "rendered.png").shape == (30, 30)
    health = facts("doctor")
    assert health["well"]
    assert health["resumes"]
    assert health["devices"]


def test_rendered_as_painted_and_in_parts(photos, tmp_path, here):
    paint = ["paint", photos / "wide.jpg", "--size", "40", "--epochs", "30", "--quiet"]
    render = ["render", "painting.safetensors"]
    right_half = ["--window", "-.225", "0", ".225", "1", "--size", "20"]
    assert_succeeded(here(*paint))
    assert_succeeded(here(*render, "--out", "same.png"))
    assert_succeeded(here(*render, *right_half, "--out", "right.png"))
    assert (tmp_path / "same.png").read_bytes() == (tmp_path / "painting.png").read_bytes()
    painting, right = read_image(tmp_path / "painting.png"), read_image(tmp_path / "right.png")
    assert painting.shape == (9, 40, 3)
    np.testing.assert_allclose(right, painting[:, 20:].astype(int), atol=1)


# What is stopped goes on

LONG = ["paint", "--size", "64", "--epochs", "60", "--quiet"]


def begin(*args, cwd, **options):
    "`run`, but not waited for."
    return subprocess.Popen(
        [*PROGRAM, *map(str, args)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def newest(folder):
    "The epoch of the newest checkpoint, 0 if there is none."
    epochs = [int(path.stem.removeprefix("epoch-")) for path in folder.glob("epoch-*")]
    return max(epochs, default=0)


def contents(folder):
    "The three files of a painting."
    return {name: (folder / name).read_bytes() for name in THREE}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    "The files of a painting that nothing has stopped."
    folder = tmp_path_factory.mktemp("unbroken")
    assert_succeeded(run(*LONG, cwd=folder))
    return contents(folder)


KEEP_ALL = ["--checkpoint", "kept", "--every", "0"]


def killed(folder, epoch, later, *options):
    """Paint with a folder for checkpoints, and kill it: the epoch of the newest checkpoint.

    It is killed `later` seconds after the file of `epoch` is there, or the folder for 0."""
    kept = folder / "kept"

    def reached():
        return newest(kept) >= epoch if epoch else kept.exists()

    with begin(*LONG, *options, *KEEP_ALL, cwd=folder, env=own_cache(folder)) as process:
        while not reached() and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(later)
        process.kill()
    # it was in the middle of something
    assert process.returncode == -signal.SIGKILL, process.stderr
    return newest(kept)


def finished(folder, *options):
    "Type the same command line again: the files of the painting."
    assert_succeeded(run(*LONG, *options, *KEEP_ALL, cwd=folder, env=own_cache(folder)))
    return contents(folder)


def test_killed_three_times_and_typed_again(tmp_path, unbroken):
    moments = [killed(tmp_path, 0, 0), killed(tmp_path, 3, 0.01), killed(tmp_path, 30, 0.02)]
    assert moments == sorted(moments)
    assert moments[-1] >= 30
    assert finished(tmp_path) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("network", PRESETS)
def test_killed_at_thirty_moments(tmp_path, network):
    "Six with each network by name."
    whole, options = tmp_path / "whole", ["--network", network]
    whole.mkdir()
    assert_succeeded(run(*LONG, *options, cwd=whole))
    rng, epochs = random.Random(network), []
    for i in range(6):
        folder = tmp_path / str(i)
        folder.mkdir()
        epochs.append(killed(folder, rng.randrange(0, 50), rng.uniform(0, 0.04), *options))
        assert finished(folder, *options) == contents(whole), epochs
    assert len(set(epochs)) > 2, epochs


def test_resume_finishes_what_paint_was_asked_for(tmp_path, unbroken):
    at = killed(tmp_path, 5, 0)
    assert at < 60
    result = run("resume", "kept", "--quiet", "--json", cwd=tmp_path, env=own_cache(tmp_path))
    assert json.loads(result.stdout)["epochs"] == 60
    assert contents(tmp_path) == unbroken


KEPT = ["paint", *QUICK, "--checkpoint", "kept"]


def checkpoint_files(folder):
    "The content of all files of a folder."
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_with_another_painting_is_left_alone(tmp_path, here):
    assert_succeeded(here(*KEPT))
    before = checkpoint_files(tmp_path / "kept")
    for other, word in (
        (["--seed", "1"], "--seed 0, not 1"),
        (["--size", "13"], "--size 12, not 13"),
        (["--psnr", "40"], "--psnr None, not 40"),
    ):
        assert_failed(here(*KEPT, *other), 2, "--checkpoint kept", word, "cadl-flax resume kept")
    assert checkpoint_files(tmp_path / "kept") == before
    assert_succeeded(here(*KEPT))  # finished already: written again


def test_a_folder_with_a_painting_of_another_picture_is_left_alone(tmp_path, here):
    assert_succeeded(here(*KEPT))
    before = checkpoint_files(tmp_path / "kept")
    Image.fromarray(data.astronaut()[:64, :64]).save(tmp_path / "other.png")
    result = here("paint", "other.png", *QUICK, "--checkpoint", "kept", "--out", "x.png")
    assert_failed(result, 2, "--checkpoint kept", "another picture")
    assert checkpoint_files(tmp_path / "kept") == before


def test_a_folder_of_damaged_checkpoints_is_named(tmp_path, here):
    assert_succeeded(here(*KEPT))
    for path in (tmp_path / "kept").glob("epoch-*"):
        path.write_bytes(path.read_bytes()[:-9])
    assert_failed(here(*KEPT), 2, "kept", "damaged")


def test_two_in_one_folder(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    endless = ["paint", "--seconds", "100", "--checkpoint", "kept"]
    with begin(*endless, "--every", "0", "--quiet", cwd=tmp_path) as first:
        while not newest(kept) and first.poll() is None:
            time.sleep(0.05)
        for line in (endless, ["resume", "kept"]):
            assert_failed(run(*line, cwd=tmp_path), 3, "kept", "in use")
        first.send_signal(signal.SIGTERM)
        output = first.communicate(timeout=60)
    assert first.returncode == 130, output


def test_four_at_once_paint_what_each_paints_alone(tmp_path):
    def line(seed, out):
        options = ["--size", "24", "--epochs", "30", "--quiet"]
        return ["paint", *options, "--seed", seed, "--out", out]

    at_once = [begin(*line(seed, f"{seed}.png"), cwd=tmp_path) for seed in range(4)]
    for process in at_once:
        process.communicate(timeout=120)
        assert process.returncode == 0
    for seed in (0, 3):
        assert_succeeded(run(*line(seed, "alone.png"), cwd=tmp_path))
        for kind in ("png", "gif", "safetensors"):
            together, alone = tmp_path / f"{seed}.{kind}", tmp_path / f"alone.{kind}"
            assert together.read_bytes() == alone.read_bytes()


# A clock that runs fast, so that every picture is written.
PAINT_WITH_FAST_CLOCK = """
import sys
from itertools import count
from types import SimpleNamespace
from cadl_flax import __main__ as cli

clock = count(0, 3.0)
cli.time = SimpleNamespace(perf_counter=lambda: next(clock))
sys.exit(cli.main(["paint", "--size", "200", "--epochs", "60", "--quiet", "--out", "x.png"]))
"""


def test_whoever_looks_sees_a_whole_picture(tmp_path):
    n_looks, pictures = 0, set()
    with subprocess.Popen(
        [sys.executable, "-c", PAINT_WITH_FAST_CLOCK], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            try:
                pictures.add(read_image(tmp_path / "x.png").tobytes())
            except FileNotFoundError:
                continue
            n_looks += 1
    assert process.returncode == 0
    assert n_looks > 50
    assert len(pictures) > 10, n_looks


def test_a_board_without_its_package_is_a_line(tmp_path, monkeypatch, here):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    result = here(*KEPT, "--board")
    assert result.returncode == 2
    assert "pip install 'cadl_flax[tensorboard]'" in result.stderr
    assert not (tmp_path / "painting.png").exists()


# Compiled programs are kept

PAINT_AND_PRINT_SECONDS_OF_COMPILING = """
import sys
from cadl_flax.__main__ import _keep_programs, main

_keep_programs()
import jax.monitoring

durations = []


def listen(name, seconds, **_):
    if name == "/jax/core/compile/backend_compile_duration":
        durations.append(seconds)


jax.monitoring.register_event_duration_secs_listener(listen)
code = main(["paint", "--size", "64", "--epochs", "3", "--quiet"])
print(sum(durations))
sys.exit(code)
"""


def test_compiled_programs_are_kept_and_damage_is_survived(tmp_path):
    def paint():
        result = subprocess.run(
            [sys.executable, "-c", PAINT_AND_PRINT_SECONDS_OF_COMPILING],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=own_cache(tmp_path),
        )
        assert_succeeded(result)
        assert result.stderr == ""
        return float(result.stdout.split()[-1]), contents(tmp_path)

    first, files = paint()
    second, again = paint()
    assert second < first / 2
    assert again == files
    programs = list((tmp_path / "cache").rglob("*-cache"))
    assert len(programs) > 5
    for path in programs:
        path.write_bytes(path.read_bytes()[:100])
    _, from_damaged = paint()
    assert from_damaged == files
    third, again = paint()
    assert third < first / 2
    assert again == files


@pytest.mark.parametrize("size, epochs, is_said", [(400, 1, True), (24, 2, False)])
def test_a_budget_that_shows_not_every_pixel_is_named(tmp_path, size, epochs, is_said):
    Image.fromarray(shrink(data.astronaut(), size)).save(tmp_path / "photo.png")
    options = ["--size", "full", "--epochs", epochs, "--network", "mlp"]
    done = run("paint", "photo.png", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("of the pixels: give it more time" in done.stdout + done.stderr) == is_said


def test_a_large_picture_is_renewed_seldom():
    "Drawing one takes longer than many epochs."
    session = cli.Session(None, {})
    pauses = []
    for side in (64, 256, 1000, 4000):
        session.painting = SimpleNamespace(image=np.zeros((side, side), bool))
        pauses.append(session._pause())
    assert pauses[:2] == [5, 5]
    assert pauses[2] == 50 and pauses[3] == 16 * pauses[2]
