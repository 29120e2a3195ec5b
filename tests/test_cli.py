"The command line: what a user types, what comes back, and what is left on the disk."
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from flax import nnx
from PIL import Image
from skimage import data
from test_pictures import declared

from cadl_flax.networks import count_parameters
from cadl_flax.painting import _named
from cadl_flax.pictures import psnr, read_image, shrink

QUICK = ["--size", "12", "--epochs", "2", "--quiet"]


def run(*args, cwd, **options):
    return subprocess.run([sys.executable, "-m", "cadl_flax", *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300, **options)


def failed(result, code, *words):
    "One line on stderr with `words`, nothing on stdout, and the exit code."
    assert result.returncode == code and result.stdout == "", result
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("cadl-flax: "), result.stderr
    for word in words: assert word in result.stderr
    return True


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    photo = shrink(data.astronaut(), 64)
    Image.fromarray(photo[..., 0]).save(folder/"gray.jpg")
    Image.fromarray(np.dstack([photo, np.full((64, 64), 200, np.uint8)])).save(folder/"clear.png")
    Image.fromarray(data.astronaut()[:90, :400]).save(folder/"wide.jpg")
    (folder/"notes.txt").write_text("no picture")
    (folder/"film.gif").mkdir()
    (folder/"bomb.png").write_bytes(declared(40_000, 40_000))
    (folder/"half.jpg").write_bytes((folder/"wide.jpg").read_bytes()[:3000])
    return folder


def test_paint_writes_the_painting_and_its_film(tmp_path):
    result = run("paint", "--size", "64", cwd=tmp_path)
    assert result.returncode == 0
    last = result.stdout.strip().splitlines()[-1]
    parameters = count_parameters(_named("half-grid", 64, 64)(2, 3, rngs=nnx.Rngs(0)))
    assert last.startswith("painting.png and painting.gif: ") and f"{parameters:,} parameters" in last and last.endswith(" s")
    assert "100%" in result.stderr and "dB" in result.stderr # the bar
    painting = read_image(tmp_path/"painting.png")
    said = float(last.split(": ")[1].split(" dB")[0])
    assert said >= 28 and abs(psnr(painting, shrink(data.astronaut(), 64)) - said) < .06
    with Image.open(tmp_path/"painting.gif") as gif:
        assert gif.n_frames >= 15 and gif.info["loop"] == 0
        gif.seek(gif.n_frames - 1)
        assert psnr(np.array(gif.convert("RGB")), painting) >= 30
    assert sorted(os.listdir(tmp_path)) == ["painting.gif", "painting.png"]


@pytest.mark.parametrize("name, shape", [("gray.jpg", (12, 12)), ("clear.png", (12, 12, 4)), ("wide.jpg", (3, 12, 3))])
def test_photos_of_every_kind(photos, tmp_path, name, shape):
    result = run("paint", photos/name, *QUICK, "--out", "x.png", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    assert read_image(tmp_path/"x.png").shape == shape


@pytest.mark.parametrize("args, words", [
    (["missing.jpg"], ["missing.jpg", "No such file"]),
    (["{photos}/notes.txt"], ["notes.txt", "not a picture"]),
    (["{photos}"], ["directory"]),
    (["{photos}/bomb.png"], ["bomb.png", "too large"]),
    (["{photos}/half.jpg"], ["half.jpg", "damaged"]),
    (["--size", "0"], ["--size", "0"]),
    (["--size", "x"], ["--size", "x"]),
    (["--epochs", "0"], ["--epochs", "0"]),
    (["--seconds", "-1"], ["--seconds", "-1"]),
    (["--seconds", "nan"], ["--seconds", "nan"]),
    (["--seconds", "inf"], ["--seconds", "inf"]),
    (["--out", "{photos}/film.png"], ["--out", "film.gif", "directory"]),
    (["--seed", "-1"], ["--seed", "-1"]),
    (["--network", "giant"], ["--network", "giant"]),
    (["--colour"], ["--colour"]),
    (["a", "b"], ["b"]),
    (["--out", "no/x.png"], ["--out", "no"]),
    (["--out", "."], ["--out"]),
    (["--out", "x.jpg"], ["--out", "x.jpg"]),
    (["{photos}/clear.png", "--out", "{photos}/clear.png"], ["--out", "clear.png"]),
])
def test_bad_input_is_one_line_and_exit_code_2(photos, tmp_path, args, words):
    assert failed(run("paint", *[a.replace("{photos}", str(photos)) for a in args], cwd=tmp_path), 2, *words)
    assert os.listdir(tmp_path) == []


def unwritable(tmp_path):
    "A folder in which nobody may write: one without permission, or, for root, whom permissions do not stop, one of the kernel's."
    folder = tmp_path/"locked"
    folder.mkdir(mode=0o555)
    for candidate in (folder, "/proc/self", "/sys/kernel"):
        try: (probe := os.path.join(candidate, "probe.png")) and open(probe, "x").close()
        except FileNotFoundError: continue
        except OSError: return candidate
        os.unlink(probe)
    pytest.skip("every folder can be written here")


def test_an_unwritable_output_is_exit_code_3(tmp_path):
    assert failed(run("paint", "--out", os.path.join(unwritable(tmp_path), "x.png"), cwd=tmp_path), 3, "--out", "cannot be written")


def test_a_full_disk_is_exit_code_3_and_leaves_nothing(tmp_path):
    program = ("import resource, sys; from cadl_flax.__main__ import main; import cadl_flax.painting, cadl_flax.pictures\n"
               "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))\n"
               "sys.exit(main(['paint', '--size', '12', '--epochs', '2', '--quiet']))")
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert failed(result, 3, "--out painting.png")
    assert os.listdir(tmp_path) == []


def test_ctrl_c_saves_what_there_is(tmp_path, tmp_path_factory):
    log = tmp_path_factory.mktemp("log")/"stderr"
    program = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler) # a job in the background is born with it ignored\n"
               "from cadl_flax.__main__ import main; sys.exit(main(['paint', '--seconds', '100']))")
    with open(log, "w") as said, subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=said, text=True) as process:
        began = time.time()
        while "dB" not in log.read_text() and time.time() - began < 120: time.sleep(.1) # a first bar: the painting is under way
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted after" in out, log.read_text()
    assert read_image(tmp_path/"painting.png").shape == (128, 128, 3) and sorted(os.listdir(tmp_path)) == ["painting.gif", "painting.png"]


def test_seconds_and_seed(tmp_path):
    assert run("paint", "--size", "12", "--seconds", "1", "--quiet", cwd=tmp_path).returncode == 0
    pictures = []
    for seed in ([], ["--seed", "0"], ["--seed", "1"]):
        assert run("paint", *QUICK, *seed, "--network", "mlp", cwd=tmp_path).returncode == 0
        pictures.append((tmp_path/"painting.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_help_fits_a_screen_and_costs_no_import_of_jax(tmp_path):
    result = run("paint", "--help", cwd=tmp_path)
    assert result.returncode == 0 and len(result.stdout.splitlines()) <= 40 and "Examples" in result.stdout
    program = "import sys; from cadl_flax.__main__ import main; main(['paint', '--help']); main(['paint', '--size', '0']); main(['paint', 'nowhere.jpg']); main(['paint', '--out', 'nowhere/x.png']); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode == 0


@pytest.mark.parametrize("args", [[], ["--help"], ["--version"]])
def test_the_top_level_answers(tmp_path, args):
    result = run(*args, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.strip() and result.stderr == ""
