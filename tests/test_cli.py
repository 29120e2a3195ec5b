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
from types import SimpleNamespace

import numpy as np
import pytest
from flax import nnx
from PIL import Image
from skimage import data
from test_pictures import declared

from cadl_flax import __main__ as cli
from cadl_flax.networks import count_parameters
from cadl_flax.painting import _named
from cadl_flax.pictures import psnr, read_image, shrink
from cadl_flax.tracking import load

THREE = ["painting.gif", "painting.png", "painting.safetensors"]
QUICK = ["--size", "12", "--epochs", "2", "--quiet"]


def run(*args, cwd, **options):
    return subprocess.run([sys.executable, "-m", "cadl_flax", *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300, **options)


def own_cache(folder):
    "Surroundings with a cache of compiled programs in `folder`: who is killed may leave one half-written, and the other tests should not find it."
    return {k: v for k, v in os.environ.items() if not k.startswith("JAX_")} | dict.fromkeys(["XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"], str(folder/"cache"))


def failed(result, code, *words):
    "One line on stderr with `words`, nothing on stdout, and the exit code."
    assert result.returncode == code and result.stdout == "", result
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("cadl-flax: "), result.stderr
    for word in words: assert word in result.stderr
    return True


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    "`run` in this process, in an empty folder."
    monkeypatch.chdir(tmp_path)
    def ask(*args):
        capsys.readouterr()
        code = cli.main([str(a) for a in args])
        said = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, said.out, said.err)
    return ask


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
    assert all(line.startswith("epoch ") for line in result.stderr.splitlines())
    assert last.startswith("painting.png, painting.gif, painting.safetensors: ") and f"{parameters:,} parameters" in last and last.endswith(" s")
    painting = read_image(tmp_path/"painting.png")
    said = float(last.split(": ")[1].split(" dB")[0])
    assert said >= 28 and abs(psnr(painting, shrink(data.astronaut(), 64)) - said) < .06
    with Image.open(tmp_path/"painting.gif") as gif:
        assert gif.n_frames >= 15 and gif.info["loop"] == 0
        gif.seek(gif.n_frames - 1)
        assert psnr(np.array(gif.convert("RGB")), painting) >= 30
    assert sorted(os.listdir(tmp_path)) == THREE
    np.testing.assert_array_equal((load(tmp_path/"painting.safetensors").render()*255).round(), painting)


@pytest.mark.parametrize("name, shape", [("gray.jpg", (12, 12)), ("clear.png", (12, 12, 4)), ("wide.jpg", (3, 12, 3))])
def test_photos_of_every_kind(photos, here, tmp_path, name, shape):
    result = here("paint", photos/name, *QUICK, "--out", "x.png")
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
    (["--every", "nan"], ["--every", "nan"]),
    (["--psnr", "0"], ["--psnr", "0"]),
    (["--board"], ["--board", "--checkpoint"]),
    (["--checkpoint", "{photos}/notes.txt"], ["--checkpoint", "notes.txt", "is a file"]),
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


def test_names_need_not_be_text(photos, tmp_path):
    assert failed(run("paint", b"\xff.png".decode(errors="surrogateescape"), cwd=tmp_path), 2, "udcff.png", "No such file")
    result = run("paint", photos/"gray.jpg", *QUICK, "--out", b"\xff.png".decode(errors="surrogateescape"), cwd=tmp_path)
    assert result.returncode == 0 and len(os.listdir(tmp_path)) == 3


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


def test_a_full_disk_is_exit_code_3_and_leaves_nothing(tmp_path, tmp_path_factory):
    program = ("import resource, signal, sys; from cadl_flax.__main__ import main; import cadl_flax.painting, cadl_flax.pictures\n"
               "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))\n"
               "sys.argv[1:] = ['paint', '--size', '12', '--epochs', '2', '--quiet']; sys.exit(main())")
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env={**own_cache(tmp_path_factory.mktemp("home")), "PYTHONDONTWRITEBYTECODE": "1"})
    assert failed(result, 3, "--out painting.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_what_there_is(tmp_path, tmp_path_factory, by):
    log = tmp_path_factory.mktemp("log")/"stderr"
    program = ("import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler) # a job in the background is born with it ignored\n"
               "from cadl_flax.__main__ import main; sys.argv[1:] = ['paint', '--seconds', '100']; sys.exit(main())")
    with open(log, "w") as said, subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=said, text=True) as process:
        began = time.time()
        while "loss" not in log.read_text() and time.time() - began < 120: time.sleep(.1) # a first line: the painting is under way
        process.send_signal(by)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted after" in out and "to go on: cadl-flax resume painting.safetensors" in out, log.read_text()
    assert read_image(tmp_path/"painting.png").shape == (128, 128, 3) and sorted(os.listdir(tmp_path)) == THREE
    epochs = load(tmp_path/"painting.safetensors").run.epoch
    result = run("resume", "painting.safetensors", "--epochs", "3", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["epochs"] == epochs + 3


def test_seconds_and_seed(tmp_path, here):
    assert here("paint", "--size", "12", "--seconds", "1", "--quiet").returncode == 0
    pictures = []
    for seed in ([], ["--seed", "0"], ["--seed", "1"]):
        assert here("paint", *QUICK, *seed, "--network", "mlp").returncode == 0
        pictures.append((tmp_path/"painting.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_help_costs_no_import_of_jax(tmp_path):
    program = ("import sys; from cadl_flax.__main__ import main\n"
               "for words in ('paint --help', 'paint --size 0', 'paint nowhere.jpg', 'paint --out nowhere/x.png', 'resume nowhere', 'render nowhere', 'inpaint nowhere', 'paint /dev/null', 'inpaint /dev/null'):\n"
               "    assert main(words.split()) == 2*('help' not in words), words\n"
               "sys.exit('jaxlib' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode == 0


@pytest.mark.parametrize("args", [[], ["--help"], ["--version"]])
def test_the_top_level_answers(tmp_path, args):
    result = run(*args, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.strip() and result.stderr == ""


def test_a_bar_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-m", "cadl_flax", "paint", "--size", "24"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 4096): said += part
        except OSError: pass # the other end is closed
    assert process.returncode == 0 and b"100%" in said and b"dB" in said and b"\r" in said


def test_lines_in_a_log(tmp_path, monkeypatch, capsys):
    clock = itertools.count(0, 3.)
    monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert cli.main(["paint", "--size", "12", "--epochs", "9", "--out", str(tmp_path/"x.png")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3 and all(line.startswith("epoch ") and line.endswith(" s left") for line in lines)
    assert float(lines[-1].split(" s left")[0].split()[-1]) <= float(lines[0].split(" s left")[0].split()[-1])
    assert cli.main(["paint", "--size", "12", "--epochs", "9", "--quiet", "--out", str(tmp_path/"x.png")]) == 0
    assert capsys.readouterr().err == ""


def lines_of(monkeypatch, capsys, *moments):
    "What a log says of paintings that come at `moments`: pairs of seconds and progress."
    times = iter([0, *(seconds for seconds, _ in moments)])
    monkeypatch.setattr(cli, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    run = SimpleNamespace(epoch=1)
    paintings = [SimpleNamespace(progress=done, losses=[.26], run=run) for _, done in moments]
    assert list(cli._lines(paintings)) == paintings
    return capsys.readouterr().err.splitlines()


def test_no_time_is_left_in_a_log_before_it_can_be_told(monkeypatch, capsys):
    "The first epoch may take minutes, compiling included: only the second says how long one takes."
    first, second = lines_of(monkeypatch, capsys, (60, .01), (66, .03))
    assert first == "epoch 1, 1%, loss 2.60e-01"
    assert second.endswith(f", {6*97/2:.0f} s left")
    assert lines_of(monkeypatch, capsys, (6, .5), (12, .5)) == ["epoch 1, 50%, loss 2.60e-01"]*2
    assert lines_of(monkeypatch, capsys, (6, .9), (12, .95))[1].endswith(", 6 s left") # gone on with
    assert lines_of(monkeypatch, capsys, (1, .2), (2, 1.)) == []


FAILURES = {
    "a missing file": (2, ["paint", "nowhere.jpg"]),
    "a missing file to go on from": (2, ["resume", "nowhere"]),
    "a missing painting": (2, ["render", "nowhere"]),
    "a missing mask": (2, ["inpaint", "gray.jpg", "nowhere.png"]),
    "an option that is none": (2, ["paint", "--colour", "red"]),
    "a number that is none": (2, ["doctor", "--size", "x"]),
    "a command that is none": (2, ["print"]),
    "an argument that is missing": (2, ["inpaint"]),
    "an unwritable output": (3, ["paint", "--out", "/proc/self/x.png"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_json_is_one_line_for_failures_too(photos, here, name):
    code, line = FAILURES[name]
    if name.startswith("an unwritable") and not os.path.isdir("/proc/self"): pytest.skip("no /proc here")
    plain, result = here(*line), here(*line, "--json")
    assert plain.returncode == result.returncode and plain.stdout == "" and plain.stderr == result.stderr
    assert result.stdout.count("\n") == 1
    said = json.loads(result.stdout)
    assert said == dict(error=result.stderr.removeprefix("cadl-flax: ").rstrip("\n"), code=result.returncode)
    assert result.returncode == code or name.startswith("an unwritable")


@pytest.mark.parametrize("fault, code, error", [
    (RuntimeError("a fault of ours"), 1, "RuntimeError: a fault of ours"),
    (FileNotFoundError(2, "gone", "own.txt"), 1, "FileNotFoundError: [Errno 2] gone: 'own.txt'"),
    (KeyboardInterrupt(), 130, "interrupted")], ids=["bug", "own file", "interrupt"])
def test_json_is_one_line_for_bugs_and_interrupts(here, monkeypatch, capsys, fault, code, error):
    def fail(*args): raise fault
    monkeypatch.setattr(cli, "_picture", fail)
    if code == 1: # a stack trace is due, and Python's exit code for it
        with pytest.raises(type(fault)): here("paint", "--json")
        said = capsys.readouterr().out
    else:
        result = here("paint", "--json")
        assert result.returncode == code
        said = result.stdout
    assert said.count("\n") == 1 and json.loads(said) == dict(error=error, code=code)


def test_json_after_two_dashes_is_a_name(here):
    result = here("paint", "--", "--json")
    assert failed(result, 2, "--json: No such file")


@pytest.mark.parametrize("line, code", [
    (["--help"], 3), (["paint", "--help"], 3), ([], 3), (["--version"], 3),
    (["paint", *QUICK], 3), (["paint", "nowhere.jpg", "--json"], 2)], ids=str)
def test_an_output_that_is_full_is_a_line(tmp_path, line, code):
    if not os.path.exists("/dev/full"): pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        result = subprocess.run([sys.executable, "-m", "cadl_flax", *line], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert result.returncode == code and result.stderr.startswith("cadl-flax: ") and result.stderr.count("\n") == 1, result
    if code == 3: assert "No space left" in result.stderr


@pytest.mark.parametrize("line", [["paint", ""], ["resume", ""], ["render", ""], ["inpaint", ""], ["inpaint", "gray.jpg", ""], ["paint", "--out", ""], ["render", "x", "--out", ""]], ids=str)
def test_a_name_of_no_letters_is_named(photos, here, tmp_path, line):
    for name in ("gray.jpg", "x"): (tmp_path/name).write_bytes((photos/"gray.jpg").read_bytes())
    assert failed(here(*line), 2, "''")


def test_json_is_one_line_for_machines(photos, tmp_path, here):
    result = here("paint", photos/"gray.jpg", *QUICK, "--json")
    facts = json.loads(result.stdout)
    assert facts["files"] == [f"painting.{kind}" for kind in ("png", "gif", "safetensors")] and facts["epochs"] == 2 and facts["interrupted"] is False
    facts = json.loads(here("render", "painting.safetensors", "--size", "30", "--json").stdout)
    assert (facts["height"], facts["width"]) == (30, 30) == read_image(tmp_path/"rendered.png").shape
    facts = json.loads(here("doctor", "--json").stdout)
    assert facts["well"] and facts["resumes"] and facts["devices"]


def test_rendered_as_painted_and_in_parts(photos, tmp_path, here):
    assert here("paint", photos/"wide.jpg", "--size", "40", "--epochs", "30", "--quiet").returncode == 0
    assert here("render", "painting.safetensors", "--out", "same.png").returncode == 0
    assert (tmp_path/"same.png").read_bytes() == (tmp_path/"painting.png").read_bytes()
    painting = read_image(tmp_path/"painting.png")
    assert painting.shape == (9, 40, 3)
    assert here("render", "painting.safetensors", "--window", "-.225", "0", ".225", "1", "--size", "20", "--out", "right.png").returncode == 0
    np.testing.assert_allclose(read_image(tmp_path/"right.png"), painting[:, 20:].astype(int), atol=1)


# What is stopped goes on

LONG = ["paint", "--size", "64", "--epochs", "60", "--quiet"]


def begin(*args, cwd, **options): return subprocess.Popen([sys.executable, "-m", "cadl_flax", *map(str, args)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def newest(folder): return max((int(path.stem[6:]) for path in folder.glob("epoch-*")), default=0)


def contents(folder): return {name: (folder/name).read_bytes() for name in THREE}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert run(*LONG, cwd=folder).returncode == 0
    return contents(folder)


def killed(folder, epoch, later):
    "Paint with a folder for checkpoints, and kill it `later` seconds after the file of `epoch` is there."
    with begin(*LONG, "--checkpoint", "kept", "--every", "0", cwd=folder, env=own_cache(folder)) as process:
        while (newest(folder/"kept") < epoch if epoch else not (folder/"kept").exists()) and process.poll() is None: time.sleep(.0005)
        time.sleep(later)
        process.kill()
    assert process.returncode == -signal.SIGKILL, process.stderr # it was in the middle of something
    return newest(folder/"kept")


def finished(folder):
    result = run(*LONG, "--checkpoint", "kept", "--every", "0", cwd=folder, env=own_cache(folder))
    assert result.returncode == 0, result.stderr
    return contents(folder)


def test_killed_three_times_and_typed_again(tmp_path, unbroken):
    moments = [killed(tmp_path, 0, 0), killed(tmp_path, 3, .01), killed(tmp_path, 30, .02)]
    assert moments == sorted(moments) and moments[-1] >= 30
    assert finished(tmp_path) == unbroken


@pytest.mark.slow
def test_killed_at_thirty_moments(tmp_path, unbroken):
    chance, seen = random.Random(0), []
    for i in range(30):
        (folder := tmp_path/str(i)).mkdir()
        seen.append(killed(folder, chance.randrange(0, 60), chance.uniform(0, .04)))
        assert finished(folder) == unbroken, seen
    print("killed after epochs", *seen)
    assert len(set(seen)) > 15


def test_resume_finishes_what_paint_was_asked_for(tmp_path, unbroken):
    at = killed(tmp_path, 5, 0)
    assert at < 60
    result = run("resume", "kept", "--quiet", "--json", cwd=tmp_path, env=own_cache(tmp_path))
    assert json.loads(result.stdout)["epochs"] == 60
    assert contents(tmp_path) == unbroken


def test_a_folder_with_another_painting_is_left_alone(tmp_path, here):
    line = ["paint", *QUICK, "--checkpoint", "kept"]
    assert here(*line).returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path/"kept").iterdir()}
    for other, word in ((["--seed", "1"], "--seed 0, not 1"), (["--size", "13"], "--size 12, not 13"), (["--psnr", "40"], "--psnr None, not 40")):
        assert failed(here(*line, *other), 2, "--checkpoint kept", word, "cadl-flax resume kept")
    Image.fromarray(data.astronaut()[:64, :64]).save(tmp_path/"other.png")
    assert failed(here("paint", "other.png", *QUICK, "--checkpoint", "kept", "--out", "x.png"), 2, "--checkpoint kept", "another picture")
    assert {path.name: path.read_bytes() for path in (tmp_path/"kept").iterdir()} == before
    assert here(*line).returncode == 0 # finished already: written again
    for path in (tmp_path/"kept").glob("epoch-*"): path.write_bytes(path.read_bytes()[:-9])
    assert failed(here(*line), 2, "kept", "damaged")


def test_two_in_one_folder_and_four_in_another(tmp_path):
    (tmp_path/"kept").mkdir()
    with begin("paint", "--seconds", "100", "--quiet", "--checkpoint", "kept", "--every", "0", cwd=tmp_path) as first:
        while not newest(tmp_path/"kept") and first.poll() is None: time.sleep(.05)
        for line in (["paint", "--seconds", "100", "--checkpoint", "kept"], ["resume", "kept"]): assert failed(run(*line, cwd=tmp_path), 3, "kept", "in use")
        first.send_signal(signal.SIGTERM)
        said = first.communicate(timeout=60)
    assert first.returncode == 130, said
    together = [begin("paint", "--size", "24", "--epochs", "30", "--seed", seed, "--out", f"{seed}.png", "--quiet", cwd=tmp_path) for seed in range(4)]
    for process in together:
        process.communicate(timeout=120)
        assert process.returncode == 0
    for seed in (0, 3):
        assert run("paint", "--size", "24", "--epochs", "30", "--seed", seed, "--out", "alone.png", "--quiet", cwd=tmp_path).returncode == 0
        for kind in ("png", "gif", "safetensors"): assert (tmp_path/f"{seed}.{kind}").read_bytes() == (tmp_path/f"alone.{kind}").read_bytes()


def test_whoever_looks_sees_a_whole_picture(tmp_path):
    program = ("import sys; from types import SimpleNamespace; from itertools import count; from cadl_flax import __main__ as cli\n"
               "clock = count(0, 3.); cli.time = SimpleNamespace(perf_counter=lambda: next(clock)) # so that every picture is written\n"
               "sys.exit(cli.main(['paint', '--size', '200', '--epochs', '60', '--quiet', '--out', 'x.png']))")
    looked, states = 0, set()
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try: states.add(read_image(tmp_path/"x.png").tobytes())
            except FileNotFoundError: continue
            looked += 1
    assert process.returncode == 0 and looked > 50 and len(states) > 10, (looked, len(states))


def test_a_board_without_its_package_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert cli.main(["paint", *QUICK, "--checkpoint", "kept", "--board"]) == 2
    assert "pip install 'cadl_flax[tensorboard]'" in capsys.readouterr().err and not (tmp_path/"painting.png").exists()


# Compiled programs are kept

COUNTED = ("import sys; from cadl_flax.__main__ import _keep_programs, main; _keep_programs(); import jax.monitoring; took = []\n"
           "jax.monitoring.register_event_duration_secs_listener(lambda name, seconds, **_: took.append(seconds) if name == '/jax/core/compile/backend_compile_duration' else None)\n"
           "sys.argv[1:] = ['paint', '--size', '64', '--epochs', '3', '--quiet']; code = main(); print(sum(took)); sys.exit(code)")


def test_compiled_programs_are_kept_and_damage_is_survived(tmp_path):
    def paint():
        result = subprocess.run([sys.executable, "-c", COUNTED], cwd=tmp_path, capture_output=True, text=True, env=own_cache(tmp_path))
        assert result.returncode == 0 and result.stderr == "", result.stderr
        return float(result.stdout.split()[-1]), contents(tmp_path)
    first, picture = paint()
    second, again = paint()
    assert second < first/2 and again == picture, (first, second)
    files = [path for path in (tmp_path/"cache").rglob("*-cache")]
    assert len(files) > 5
    for path in files: path.write_bytes(path.read_bytes()[:100])
    assert paint()[1] == picture # damaged
    third, again = paint()
    assert third < first/2 and again == picture, (first, third)
