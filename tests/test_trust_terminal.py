"In a terminal nothing hangs, nothing is lost without a word, and every fault has its right name."

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage import data
from test_cli import PROGRAM, assert_failed, here, run  # noqa: F401 a fixture

from cadl_flax import __main__ as cli
from cadl_flax import inpaint
from cadl_flax.files import read_image
from cadl_flax.meeting import meet
from cadl_flax.painting import paint
from cadl_flax.pictures import shrink
from cadl_flax.terminal import printable, write_output
from cadl_flax.tracking import load, save

PHOTO = shrink(data.astronaut(), 24)
QUICK = ["--size", "12", "--epochs", "1", "--network", "mlp", "--quiet"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ------------------------------------------------------------------------------ several processes


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def begin(process, port, n_processes=2, quiet=True):
    quick = QUICK if quiet else QUICK[:-1]
    line = ["paint", *quick, "--processes", n_processes, "--process", process]
    line += ["--coordinator", f"127.0.0.1:{port}"]
    command = [*PROGRAM, *map(str, line)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_waits_can_be_stopped(process, number):
    waiting = begin(process, free_port(), quiet=False)
    assert "waits for the others" in waiting.stderr.readline()
    time.sleep(1)
    assert waiting.poll() is None
    began = time.time()
    waiting.send_signal(number)
    out, err = waiting.communicate(timeout=20)
    assert time.time() - began < 5
    assert (waiting.returncode, out, err.strip()) == (130, "", "cadl-flax: interrupted")


WAIT_A_SECOND = """
import sys
from cadl_flax import __main__ as cli

cli._LONGEST_WAIT = 1.0
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "process, missing", [(0, "process 1, 2 did not"), (1, "process 0 did not")]
)
def test_who_does_not_come_is_named_after_a_time(process, missing):
    line = ["paint", *QUICK, "--processes", 3, "--process", process]
    line += ["--coordinator", f"127.0.0.1:{free_port()}"]
    command = [sys.executable, "-c", WAIT_A_SECOND, *map(str, line)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert_failed(done, 3, "--coordinator", missing, "within 1 s")


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = begin(0, taken.getsockname()[1])
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "")
    assert "--coordinator" in err and "in use" in err and err.count("\n") == 1


def test_a_number_given_twice_and_another_count_are_named():
    port = free_port()
    first, second = begin(0, port, 3), begin(1, port, 3)
    time.sleep(4)
    twice, other = begin(1, port, 3), begin(2, port, 4)
    for process, words in ((twice, "process 1 is there already"), (other, "expects 4 processes")):
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (2, ""), err
        assert words in err and err.count("\n") == 1
    third = begin(2, port, 3)
    for process in (first, second, third):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_place_has_a_name_or_numbers(host):
    if host == "[::1]" and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    place = f"{host}:{free_port()}"
    with ThreadPoolExecutor(3) as pool:
        met = [pool.submit(meet, place, 3, process, seconds=20) for process in range(3)]
    assert [one.exception() for one in met] == [None] * 3


# ------------------------------------------------------------------------------ signals


PAINT_LONG = [*PROGRAM, "paint", "--size", "32", "--seconds", "60", "--network", "mlp"]


def interrupted_by(number, **options):
    "Paint, send a signal once it is under way: exit code, and what is printed."
    with open("log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            PAINT_LONG, stdout=subprocess.PIPE, stderr=log, text=True, **options
        )
        began = time.time()
        while "loss" not in Path("log").read_text(encoding="utf-8") and time.time() - began < 60:
            time.sleep(0.1)
        process.send_signal(number)
        try:
            out, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None, ""
    return process.returncode, out


def test_a_lost_connection_saves_what_there_is():
    code, out = interrupted_by(signal.SIGHUP)
    assert code == 130
    assert "interrupted after" in out
    assert load("painting.safetensors").run.epoch > 0


def ignore_hangups():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.slow
def test_nohup_goes_on():
    assert interrupted_by(signal.SIGHUP, preexec_fn=ignore_hangups) == (None, "")


def paint_long(*options):
    "Begin to paint, and wait until it is under way."
    log = open("log", "w", encoding="utf-8")
    process = subprocess.Popen(
        [*PAINT_LONG, *map(str, options)], stdout=subprocess.PIPE, stderr=log, text=True
    )
    log.close()
    began = time.time()
    while "loss" not in Path("log").read_text(encoding="utf-8") and time.time() - began < 60:
        time.sleep(0.1)
    return process


def test_a_second_kill_does_not_wait():
    process = paint_long()
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    process.communicate(timeout=20)
    assert process.returncode == 130


INTERRUPTED_IN_A_LIBRARY = """
import signal, sys
from cadl_flax import __main__ as cli

def import_half(*args, **options):
    try:
        signal.raise_signal(signal.{0})
    except KeyboardInterrupt:
        raise ImportError("cannot import name 'half'") from None

cli._cli.main = import_half
sys.exit(cli.main())
"""
INTERRUPTED_WHILE_IT_IS_SAID = """
import signal, sys
from cadl_flax import __main__ as cli

def interrupted(*args, **options):
    signal.raise_signal(signal.{0})

cli._cli.main = cli.say = interrupted
sys.exit(cli.main())
"""
INTERRUPTED_AT_EXIT = """
import atexit, signal, sys
from cadl_flax import __main__ as cli

def interrupted():
    signal.raise_signal(signal.{0})
    print("not at once", file=sys.stderr)

atexit.register(interrupted)
cli._cli.main = lambda *args, **options: 7
sys.exit(cli.main())
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    "program, code",
    [
        (INTERRUPTED_IN_A_LIBRARY, 130),
        (INTERRUPTED_WHILE_IT_IS_SAID, 130),
        (INTERRUPTED_AT_EXIT, 7),
    ],
    ids=["in a library", "while it is said", "at exit"],
)
def test_an_interrupt_anywhere_is_no_bug(program, code, number):
    command = [sys.executable, "-c", program.format(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "not at once" not in done.stderr


@pytest.mark.slow
def test_a_pause_changes_nothing():
    quick = ["--size", "24", "--epochs", "200", "--network", "mlp", "--quiet"]
    assert run("paint", *quick, "--out", "whole.png", cwd=".").returncode == 0
    process = subprocess.Popen([*PROGRAM, "paint", *quick, "--out", "paused.png"])
    time.sleep(2.5)
    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=100) == 0
    for ending in (".png", ".safetensors"):
        assert Path(f"whole{ending}").read_bytes() == Path(f"paused{ending}").read_bytes()


def test_a_picture_that_becomes_a_folder_costs_the_picture_alone():
    process = paint_long()
    Path("painting.png").unlink(missing_ok=True)
    Path("painting.png").mkdir()
    process.communicate(timeout=60)
    last = Path("log").read_text(encoding="utf-8").splitlines()[-1]
    assert process.returncode in (2, 3)
    assert "what was reached is saved as painting.safetensors" in last
    assert load("painting.safetensors").run.epoch > 0


@pytest.mark.slow
def test_a_folder_that_is_removed_costs_the_checkpoints_alone():
    process = paint_long("--checkpoint", "kept", "--every", 0.5)
    shutil.rmtree("kept")
    process.communicate(timeout=60)
    last = Path("log").read_text(encoding="utf-8").splitlines()[-1]
    assert process.returncode in (2, 3)
    assert "--checkpoint kept" in last
    assert load("painting.safetensors").run.epoch > 0


# ------------------------------------------------------------------------------ streams


STREAMS = {
    ">&-": 3,
    "> /dev/full": 3,
    "2>&-": 0,
    "2> /dev/full": 0,
    "<&- >&- 2>&-": 3,
    "<&-": 0,
}
each_stream = pytest.mark.parametrize("stream, code", STREAMS.items())


def through_shell(stream, *words):
    "What a command answers whose streams the shell has closed or filled."
    line = f"{' '.join([*PROGRAM, *words])} {stream}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=100)


@each_stream
def test_what_nobody_reads_is_mended_all_the_same(stream, code):
    "Also where nobody reads what it guessed, which is said before the work."
    stroke = np.zeros((24, 24), bool)
    stroke[9:11, 3:20] = True
    Image.fromarray(PHOTO).save("photo.png")
    Image.fromarray(stroke).save("mask.png")
    done = through_shell(stream, "inpaint", "photo.png", "mask.png")
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    np.testing.assert_array_equal(read_image("restored.png"), inpaint(PHOTO, stroke))


@each_stream
def test_what_nobody_reads_is_painted_all_the_same(stream, code):
    done = through_shell(stream, "paint", *QUICK)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1
    assert read_image("painting.png").shape == (12, 12, 3)
    assert load("painting.safetensors").run.epoch == 1


def test_a_full_error_stream_does_not_hide_the_exit_code():
    assert through_shell("2> /dev/full", "paint", "nowhere.png").returncode == 2


LINES_IN_A_FULL_LOG = """
import sys
from types import SimpleNamespace
from cadl_flax import __main__ as cli

seconds = iter(range(0, 10**9, 10))
cli.time = SimpleNamespace(perf_counter=lambda: next(seconds))
sys.exit(cli.main(sys.argv[1:]))
"""


def test_progress_that_nobody_reads_does_not_end_a_painting():
    options = ["--size", "12", "--epochs", "9", "--network", "mlp"]
    command = [sys.executable, "-c", LINES_IN_A_FULL_LOG, "paint", *options]
    with open("/dev/full", "w", encoding="utf-8") as full:
        assert subprocess.run(command, stderr=full).returncode == 0
    assert load("painting.safetensors").run.epoch == 9


def test_what_comes_from_a_name_does_not_drive_the_terminal(here):  # noqa: F811
    name = "a\033[31mb\007.png"
    result = here("paint", name)
    assert_failed(result, 2, r"a\x1b[31mb\x07.png")
    assert "\033" not in result.stderr
    Image.fromarray(PHOTO).save(name)
    assert here("paint", name, *QUICK).returncode == 0
    assert printable("x" * 10_000 + "end").endswith("end")
    assert len(printable("x" * 10_000)) < 1100


# ------------------------------------------------------------------------------ names of faults


@pytest.mark.parametrize("length", range(200, 256, 5))
def test_a_name_too_long_for_any_file_is_refused_before_the_work(here, monkeypatch, length):  # noqa: F811
    painted = []
    run_session = cli.Session.run
    monkeypatch.setattr(
        cli.Session,
        "run",
        lambda session, paintings: painted.append(1) or run_session(session, paintings),
    )
    result = here("paint", *QUICK, "--out", "a" * (length - 4) + ".png")
    if result.returncode:
        assert_failed(result, 2, "--out", "too long")
        assert not painted
    assert len(os.listdir(".")) == (0 if result.returncode else 3)


def test_five_channels_are_no_png(here):  # noqa: F811
    five = np.random.default_rng(0).random((8, 8, 5))
    save(paint(five, n_epochs=1, network="mlp"), "five.safetensors")
    for out in ("x.png", "x.jpg", "x.tif"):
        assert_failed(here("render", "five.safetensors", "--out", out), 2, "5")
    assert os.listdir(".") == ["five.safetensors"]


SETTINGS = {
    "JAX_PLATFORMS=nonsense": 3,
    "JAX_NUMPY_RANK_PROMOTION=raise": 0,
    "JAX_NUMPY_DTYPE_PROMOTION=strict": 3,
    "JAX_TRANSFER_GUARD=disallow": 3,
    "JAX_DEFAULT_PRNG_IMPL=nonsense": 3,
    "JAX_DEFAULT_PRNG_IMPL=rbg": 0,
    "JAX_ENABLE_X64=1": 0,
    "JAX_DEBUG_NANS=1": 0,
}


@pytest.mark.parametrize("setting, code", SETTINGS.items())
def test_settings_of_jax_work_or_are_named(setting, code):
    name, value = setting.split("=")
    environment = os.environ | {name: value}
    result = run("paint", *QUICK, cwd=".", env=environment)
    if code:
        assert_failed(result, code, value)
        assert os.listdir(".") == []
    assert result.returncode == code, result


@pytest.mark.parametrize("megabytes", [450, 1000, 1500, 1900])
def test_too_little_room_is_named_before_the_work(here, megabytes):  # noqa: F811
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes}_000_000,) * 2)"
    script = f"{limit}; from cadl_flax.__main__ import main; raise SystemExit(main())"
    for line in (["paint", *QUICK], ["inpaint", "photo.png"], ["doctor"]):
        result = subprocess.run(
            [sys.executable, "-c", script, *line], capture_output=True, text=True, timeout=60
        )
        assert_failed(result, 3, f"{megabytes:,} MB", "ulimit -v", "2,000 MB")
    help_page = subprocess.run(
        [sys.executable, "-c", script, "paint", "--help"], capture_output=True, text=True
    )
    assert help_page.returncode == 0, help_page
    assert os.listdir(".") == []


@pytest.mark.parametrize("step", ["_read_picture", "_to_paint", "_check_same", "_write_colours"])
def test_memory_that_ends_anywhere_is_one_line(here, monkeypatch, step):  # noqa: F811
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(cli, step, fail)
    assert_failed(here("paint", *QUICK), 3, "memory")
    assert [name for name in os.listdir(".") if name.endswith(".png")] == []


def test_only_our_line_is_printed_on_failure():
    Image.fromarray(PHOTO).save("photo.png")
    for line in (["inpaint", "photo.png"], ["resume", "photo.png"], ["paint", "nowhere.png"]):
        assert_failed(run(*line, cwd="."), 2)


# ------------------------------------------------------------------------------ guests


def test_reading_in_threads_leaves_the_process_as_it_was():
    Image.fromarray(PHOTO).save("t.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PHOTO).save("t.jpg", exif=exif)
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    environment = dict(os.environ)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda i: [read_image("t.png" if i % 2 else "t.jpg") for _ in range(100)], range(8)
            )
        )
    assert list(warnings.filters) == filters
    assert Image.MAX_IMAGE_PIXELS == limit
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    assert dict(os.environ) == environment


def test_output_is_written_to_its_end_where_a_pipe_takes_a_part_at_a_time(monkeypatch):
    taken = []

    class Narrow:
        def write(self, content):
            taken.append(bytes(content[:3]))
            return len(taken[-1])

        def flush(self):
            taken.append(b".")

    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=Narrow()))
    write_output(b"0123456789")
    assert taken == [b"012", b"345", b"678", b"9", b"."]
