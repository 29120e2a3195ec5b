"""Files from strangers, names that are no files, loops that end in any way, and disks that are full.

What is forged has a digest that is right, so it is the sense of the words that is looked at."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from cadl_flax import __main__ as cli
from cadl_flax import checkpoints
from cadl_flax.checkpoints import Checkpoints, keep, locked
from cadl_flax.networks import MLP
from cadl_flax.painting import paint, paint_chunks
from cadl_flax.tracking import _digest, checkpoint_files, load, read_settings, read_words, save
from cadl_flax.training import fit, fit_chunks

rng = np.random.default_rng(0)
X, Y = np.float32(rng.random((64, 2))), np.float32(rng.random((64, 3)))
PHOTO = rng.random((8, 8, 3))


def network(seed=0):
    "A small one."
    return MLP(2, 3, width=8, depth=1, rngs=nnx.Rngs(seed))


def chunks(n_epochs=6):
    "Runs after every epoch."
    return fit_chunks(network(), X, Y, key=jax.random.key(0), n_epochs=n_epochs)


def give_up(*_):
    "In place of waiting for ever."
    raise TimeoutError("it hangs")


@pytest.fixture(autouse=True)
def no_hang():
    "What waits for ever fails after a minute."
    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    "Arrays and words of a painting after two epochs of four."
    path = tmp_path_factory.mktemp("whole") / "x.safetensors"
    for painting in paint_chunks(PHOTO, network="mlp", n_epochs=4, n_frames=4):
        if painting.run.epoch == 2:
            save(painting, path, settings={"size": 8})
    return safetensors.numpy.load_file(path), read_words(path)


def forge(path, whole, **changes):
    "The painting with other arrays and words, and the digest that belongs to them."
    arrays, words = whole
    arrays = arrays | {name: value for name, value in changes.items() if name in arrays}
    words = words | {name: value for name, value in changes.items() if name in words}
    words["plan"] = whole[1]["plan"] | changes.get("plan", {})
    words["digest"] = _digest(words, arrays)
    path.write_bytes(safetensors.numpy.save(arrays, {"cadl_flax": json.dumps(words)}))


def forge_format_1(path, whole, **changes):
    "The same as a file of format 1, with a key for each word."
    arrays, words = whole
    words = words | changes | {"format": 1, "digest": _digest({"format": 1}, arrays)}
    texts = {k: v if k in ("kind", "loss", "digest") else json.dumps(v) for k, v in words.items()}
    path.write_bytes(safetensors.numpy.save(arrays, texts))


def resume(capsys, *args):
    "The exit code of `cadl-flax resume`, and what it prints on stderr."
    capsys.readouterr()
    code = cli.main(["resume", *map(str, args)])
    return code, capsys.readouterr().err


# Words that make sense

HUGE = 10**400
DENORMAL = 1e-320
NONSENSE = {
    "half an epoch": ("plan", dict(plan=dict(n_epochs=2.5))),
    "a huge number of epochs": ("plan", dict(plan=dict(n_epochs=HUGE))),
    "hardly an epoch": ("plan", dict(plan=dict(n_epochs=DENORMAL))),
    "2**31 epochs": ("plan", dict(plan=dict(n_epochs=2**31))),
    "no end": ("plan", dict(plan=dict(n_epochs=None))),
    "half a frame": ("plan", dict(plan=dict(n_frames=40.5))),
    "hardly a frame": ("plan", dict(plan=dict(n_frames=0.001))),
    "huge seconds": ("plan", dict(plan=dict(seconds=HUGE))),
    "tiny seconds": ("plan", dict(plan=dict(seconds=DENORMAL))),
    "huge decibels": ("plan", dict(plan=dict(target_psnr=HUGE))),
    "tiny decibels": ("plan", dict(plan=dict(target_psnr=DENORMAL))),
    "a huge rate": ("plan", dict(plan=dict(learning_rate=HUGE))),
    "a tiny rate": ("plan", dict(plan=dict(learning_rate=DENORMAL))),
    "a first epoch that is none": ("plan", dict(plan=dict(first=False))),
    "epoch 2**31": ("epoch", dict(epoch=2**31)),
    "a broken epoch": ("epoch", dict(epoch=2.0)),
    "a huge batch": ("batch_size", dict(batch_size=HUGE)),
    "progress of nan": ("progress", dict(progress=float("nan"))),
    "a long history": ("history", dict(history=np.ones(3, np.float32))),
    "a history of nan": ("history", dict(history=np.float32([1, np.nan]))),
    "a table as history": ("history", dict(history=np.ones((1, 2), np.float32))),
    "a list of losses": ("losses", dict(losses=np.ones(1, np.float32))),
    "more losses than epochs": ("losses", dict(losses=np.ones((3, 1), np.float32))),
    "losses of bytes": ("losses", dict(losses=np.ones((1, 1), np.uint8))),
    "a picture of integers": ("has dtype int32", dict(image=np.ones((8, 8, 3), np.int32))),
    "frames of another size": ("frames", dict(frames=np.zeros((1, 9, 9, 3), np.uint8))),
}


@pytest.mark.parametrize("word, changes", NONSENSE.values(), ids=NONSENSE)
def test_what_makes_no_sense_is_refused(tmp_path, capsys, whole, word, changes):
    path = tmp_path / "x.safetensors"
    forge(path, whole, **changes)
    with pytest.raises(ValueError, match=f"x.safetensors.* {word}"):
        load(path)
    code, line = resume(capsys, path, "--quiet")
    assert code == 2 and line.count("\n") == 1 and word in line, line
    assert list(tmp_path.iterdir()) == [path]


def test_what_makes_sense_is_not_refused(tmp_path, whole):
    forge(tmp_path / "x.safetensors", whole)
    assert load(tmp_path / "x.safetensors").run.epoch == 2
    changes = dict(plan=dict(n_epochs=None, seconds=2**31 - 1, target_psnr=1e-9))
    forge(tmp_path / "x.safetensors", whole, **changes, history=np.zeros(0, np.float32))
    assert load(tmp_path / "x.safetensors").history == []


@pytest.mark.parametrize("limits", [[], ["--epochs", 2], ["--seconds", 1]])
def test_epochs_that_no_file_could_hold_are_not_begun(tmp_path, capsys, whole, limits):
    "What is left behind must be readable; `render` needs no room."
    path = tmp_path / "x.safetensors"
    forge(path, whole, epoch=2**31 - 1)
    code, line = resume(capsys, path, "--quiet", *limits)
    assert code == 2 and "epoch=2147483647" in line and line.count("\n") == 1, line
    assert list(tmp_path.iterdir()) == [path]
    out = tmp_path / "x.png"
    assert cli.main(["render", str(path), "--out", str(out)]) == 0


def test_an_epoch_beside_the_last_can_be_reached(tmp_path, capsys, whole):
    path = tmp_path / "x.safetensors"
    forge(path, whole, epoch=2**31 - 3)
    assert resume(capsys, path, "--quiet", "--epochs", 2)[0] == 0
    assert load(path).run.epoch == 2**31 - 1


def test_channels_that_no_picture_has_are_not_painted(tmp_path, capsys):
    "By the command line, which would find it out at the end; a file may hold them."
    path = tmp_path / "x.safetensors"
    save(paint(rng.random((8, 8, 5)), network="mlp", n_epochs=1), path)
    code, line = resume(capsys, path, "--quiet")
    assert code == 2 and "x.safetensors has an image of 5 channels" in line, line
    assert load(path).image.shape == (8, 8, 5) and list(tmp_path.iterdir()) == [path]


def test_limits_beyond_all_bounds_can_be_saved(tmp_path):
    "`paint` accepts them, so a file must hold them too."
    limits = dict(n_epochs=10**12, seconds=1e12, target_psnr=1e12)
    for painting in paint_chunks(PHOTO, network="mlp", **limits):
        break
    save(painting, tmp_path / "x.safetensors")
    plan = load(tmp_path / "x.safetensors").plan
    assert plan.n_epochs == plan.seconds == plan.target_psnr == 2**31 - 1


def test_a_painting_that_is_done_has_losses(tmp_path, capsys, whole, monkeypatch):
    "`paint --checkpoint` shows the last one."
    monkeypatch.chdir(tmp_path)
    line = "paint --network mlp --size 8 --epochs 1 --quiet --checkpoint kept".split()
    assert cli.main(line) == 0
    newest = checkpoint_files("kept")[0]
    found = safetensors.numpy.load_file(newest), read_words(newest)
    forge(newest, found, history=np.zeros(0, np.float32))
    assert cli.main(line) == 2
    assert "without the losses" in capsys.readouterr().err


def test_format_1_is_said_to_be_unprotected(tmp_path, capsys, whole):
    "Once, of the file that is read, and not of those that are only looked at."
    for epoch in (1, 2):
        forge_format_1(tmp_path / f"epoch-{epoch:08}.safetensors", whole)
    with pytest.warns(UserWarning, match="epoch-00000002.safetensors has format 1") as noted:
        load(tmp_path)
    assert len(noted) == 1 and noted[0].filename == __file__
    path = tmp_path / "x.safetensors"
    forge_format_1(path, whole)
    assert read_settings(path) == {"size": 8}
    out = ["--out", str(tmp_path / "x.png")]
    assert cli.main(["render", str(path), *out]) == 0
    assert capsys.readouterr().err.startswith(f"{path} has format 1")
    assert cli.main(["render", str(path), "--quiet", *out]) == 0
    assert capsys.readouterr().err == ""
    assert resume(capsys, path, "--epochs", 1, "--quiet") == (0, "")
    assert read_words(path)["format"] == 2


# Nothing hangs


def make_pipe(path):
    "Nobody writes into it."
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes here")
    os.mkfifo(path)


def make_socket(path):
    "Nobody listens at it."
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("there are no sockets with names here")
    with socket.socket(socket.AF_UNIX) as made, tempfile.TemporaryDirectory() as folder:
        made.bind(f"{folder}/s")  # a long name is refused
        os.rename(f"{folder}/s", path)


NO_FILES = {
    "pipe": make_pipe,
    "socket": make_socket,
    "folder": Path.mkdir,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a pipe": lambda path: [make_pipe(path.parent / "p"), path.symlink_to("p")],
}
any_name = pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)


@any_name
@pytest.mark.parametrize("read", [load, read_words, read_settings])
def test_what_is_no_file_is_not_opened(tmp_path, make, read):
    path = tmp_path / "x.safetensors"
    make(path)
    if read is load and path.is_dir():
        return  # where checkpoints are looked for
    with pytest.raises(ValueError, match="x.safetensors is no file"):
        read(path)


def test_a_link_to_a_file_is_one(tmp_path, whole):
    forge(tmp_path / "x.safetensors", whole)
    (tmp_path / "y.safetensors").symlink_to("x.safetensors")
    assert load(tmp_path / "y.safetensors").run.epoch == 2


@any_name
def test_checkpoints_that_are_no_files_are_passed_over(tmp_path, capsys, whole, make):
    kept = tmp_path / "kept"
    kept.mkdir()
    make(kept / "epoch-00000099.safetensors")
    with pytest.raises(ValueError, match="epoch-00000099.safetensors is no file"):
        load(kept)
    forge(kept / "epoch-00000002.safetensors", whole)
    assert load(kept).run.epoch == 2
    line = ["render", str(kept), "--size", "8", "--out", str(tmp_path / "x.png")]
    assert cli.main(line) == 0


@any_name
def test_what_is_no_file_is_in_no_ones_way(tmp_path, make):
    "But for a folder, which may hold anything and is named."
    for name in ("epoch-00000099.safetensors", "best.safetensors", ".x.safetensors.9.tmp"):
        make(tmp_path / name)
        (tmp_path / "p").unlink(missing_ok=True)
    if make is Path.mkdir:
        for name in ("best", "epoch-00000099"):
            with pytest.raises(IsADirectoryError, match=f"{name}.safetensors is a folder where"):
                next(keep(chunks(), tmp_path))
            (tmp_path / f"{name}.safetensors").rmdir()
    list(keep(chunks(2), tmp_path, seconds=0))
    assert load(tmp_path, fit(network(), X, Y, key=jax.random.key(0), n_epochs=1)).epoch == 2
    names = [
        ".lock",
        "best.safetensors",
        "epoch-00000001.safetensors",
        "epoch-00000002.safetensors",
    ]
    folders = [".x.safetensors.9.tmp"] if make is Path.mkdir else []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, *folders])


def test_a_folder_among_older_files_stays(tmp_path):
    "And takes the place of none of them."
    with Checkpoints(tmp_path, last=1) as files:
        for run in chunks(3):
            files.write(run)
            if run.epoch == 1:
                (tmp_path / "epoch-00000009.safetensors").mkdir()
    names = [path.name for path in checkpoint_files(tmp_path)]
    assert names == ["epoch-00000009.safetensors", "epoch-00000003.safetensors"]


def test_a_score_that_is_no_number_can_be_beaten(tmp_path):
    run = next(chunks())
    save(run, tmp_path / "best.safetensors", settings={"score": float("nan")})
    list(keep(chunks(2), tmp_path, seconds=0))
    assert load(tmp_path / "best.safetensors", run).epoch == 2


# keep keeps its word

LEAVE = """
import sys
import jax, numpy as np
from flax import nnx
from cadl_flax.checkpoints import keep
from cadl_flax.networks import MLP
from cadl_flax.training import fit_chunks
X = np.ones((8, 2), np.float32)
def runs():
    model = MLP(2, 2, width=4, depth=1, rngs=nnx.Rngs(0))
    return fit_chunks(model, X, X, key=jax.random.key(0), n_epochs=9)
"""
AT_THE_TOP = """
kept = keep(runs(), "kept", seconds=1000)
for run in kept:
    if run.epoch == 5:
        {leave}
"""
IN_A_FUNCTION = """
def main():
    kept = keep(runs(), "kept", seconds=1000)
    for run in kept:
        if run.epoch == 5:
            {leave}
    return kept
left = main()
"""
WAYS = {
    "break": (AT_THE_TOP, "break", 0),
    "exit": (AT_THE_TOP, "sys.exit(7)", 7),
    "error": (AT_THE_TOP, "1 / 0", 1),
    "break in a function": (IN_A_FUNCTION, "break", 0),
    "Ctrl-C in a function": (IN_A_FUNCTION, "raise KeyboardInterrupt", -signal.SIGINT),
}


@pytest.mark.parametrize("program, leave, code", WAYS.values(), ids=WAYS)
def test_a_loop_that_a_program_ends_in(tmp_path, program, leave, code):
    "Its last run is saved, though the generator still has a name, and the program ends."
    line = [sys.executable, "-c", LEAVE + program.format(leave=leave)]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert result.returncode == code, result
    assert "ignored" not in result.stderr, result
    names = sorted(path.name for path in (tmp_path / "kept").glob("epoch-*"))
    assert names == ["epoch-00000001.safetensors", "epoch-00000005.safetensors"]
    assert not list((tmp_path / "kept").glob(".*.safetensors.*"))


def test_a_generator_that_is_gone_is_closed_once(tmp_path, monkeypatch):
    "And forgotten: a program of many trainings holds none of them."
    registered = []
    monkeypatch.setattr(checkpoints.atexit, "register", registered.append)
    monkeypatch.setattr(checkpoints.atexit, "unregister", registered.remove)
    kept = keep(chunks(), tmp_path, seconds=1000)
    runs = [next(kept), next(kept)]
    assert len(registered) == 1
    registered[0]()
    assert checkpoint_files(tmp_path)[0].name == "epoch-00000002.safetensors"
    registered[0]()
    del kept
    assert registered == [] and runs[-1].epoch == 2


def test_two_keeps_of_one_process_exclude_each_other(tmp_path):
    kept = keep(chunks(), tmp_path, seconds=0)
    next(kept)
    with pytest.raises(BlockingIOError, match="is in use by another training"):
        next(keep(chunks(), tmp_path))
    next(kept)
    kept.close()
    names = [path.name for path in checkpoint_files(tmp_path)]
    assert names == ["epoch-00000002.safetensors", "epoch-00000001.safetensors"]


def test_a_lock_is_free_whichever_thread_lets_go(tmp_path):
    kept = keep(chunks(), tmp_path)
    next(kept)
    thread = threading.Thread(target=kept.close)
    thread.start()
    thread.join()
    with locked(tmp_path):
        with pytest.raises(BlockingIOError):
            next(keep(chunks(), tmp_path))


@any_name
def test_a_lock_that_is_no_file_is_not_followed(tmp_path, make):
    make(tmp_path / ".lock")
    with pytest.raises(OSError, match="lock is (a symbolic link|no file)") as caught:
        with locked(tmp_path):
            pass
    assert not isinstance(caught.value, BlockingIOError)


def test_a_lock_that_is_a_link_empties_nothing(tmp_path, capsys):
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / ".lock").symlink_to(tmp_path / "diary")
    line = ["paint", "--quiet", "--checkpoint", str(tmp_path / "kept")]
    assert cli.main([*line, "--out", str(tmp_path / "x.png")]) == 2
    assert ".lock is a symbolic link" in capsys.readouterr().err
    assert (tmp_path / "diary").read_text() == "dear diary"


# The right name for the fault


def full(*_, **__):
    "In place of a call that needs space."
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def broken(runs):
    "Runs that end by an error."
    for run in runs:
        yield run
        if run.epoch == 3:
            raise RuntimeError("the cable is out")


def test_the_error_that_ended_the_loop_is_raised(tmp_path, monkeypatch):
    "And not the one of the last attempt to save, of which it has a note."
    kept = keep(broken(chunks()), tmp_path, seconds=1000)
    next(kept)
    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(RuntimeError, match="the cable is out") as caught:
        list(kept)
    assert "epoch 3, was not saved: [Errno 28] No space left" in caught.value.__notes__[0]
    with locked(tmp_path):
        pass


def test_a_loop_that_is_left_says_that_its_last_run_is_lost(tmp_path, monkeypatch):
    kept = keep(chunks(), tmp_path, seconds=1000)
    runs = [next(kept), next(kept)]
    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(OSError, match="No space left"):
        kept.close()
    assert runs[-1].epoch == 2


@pytest.mark.parametrize("name", ["save", "_copy"])
def test_a_disk_that_fills_is_called_full(tmp_path, monkeypatch, capsys, name):
    "While the checkpoint is written, or the best one: the painting is saved beside --out."
    monkeypatch.setattr(checkpoints, name, full)
    line = ["paint", "--size", "8", "--network", "mlp", "--epochs", "3", "--quiet"]
    line += ["--checkpoint", str(tmp_path / "kept"), "--out", str(tmp_path / "x.png")]
    assert cli.main(line) == 3
    assert "No space left" in capsys.readouterr().err
    assert load(tmp_path / "x.safetensors").run.epoch == 1
    assert (tmp_path / "x.png").exists() and (tmp_path / "x.gif").exists()


# What a file says on a terminal

EVIL = "\x1b]0;owned\x07\x1b[31m\n"


def evil_array(path, whole, name, array):
    arrays, words = whole
    arrays = arrays | {name: array}
    words = words | {"digest": _digest(words, arrays)}
    path.write_bytes(safetensors.numpy.save(arrays, {"cadl_flax": json.dumps(words)}))


def evil_head(path, whole, entry):
    head = json.dumps({"x": entry}, ensure_ascii=False).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)


ENTRY = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
ESCAPES = {
    "kind": lambda path, whole: forge(path, whole, kind=EVIL),
    "network": lambda path, whole: forge(path, whole, network=EVIL),
    "epoch": lambda path, whole: forge(path, whole, epoch=EVIL),
    "a plan": lambda path, whole: forge(path, whole, plan={"first": EVIL}),
    "an old word": lambda path, whole: forge_format_1(path, whole, epoch=EVIL),
    "an array": lambda path, whole: evil_array(path, whole, EVIL, np.zeros(1, np.float32)),
    "an array of int64": lambda path, whole: evil_array(path, whole, EVIL, np.zeros(1, np.int64)),
    "a dtype": lambda path, whole: evil_head(path, whole, ENTRY | {"dtype": EVIL}),
    "a key": lambda path, whole: evil_head(path, whole, {EVIL: EVIL}),
    "no JSON": lambda path, whole: path.write_bytes(
        safetensors.numpy.save({}, {"cadl_flax": EVIL})
    ),
}


@pytest.mark.parametrize("make", ESCAPES.values(), ids=ESCAPES)
def test_errors_show_what_a_file_says_escaped(tmp_path, make, whole):
    make(tmp_path / "x.safetensors", whole)
    with pytest.raises(ValueError, match="x.safetensors") as caught:
        load(tmp_path / "x.safetensors")
    assert str(caught.value).isprintable(), caught.value


def test_a_picture_goes_on_from_a_folder_whose_lock_is_held(tmp_path):
    "As the command line does: it locks the folder before it looks into it."
    with locked(tmp_path):
        files = Checkpoints(tmp_path, is_locked=True)
        paintings = list(files.keep(paint_chunks(PHOTO, network="mlp", n_epochs=2), 0))
        with pytest.raises(BlockingIOError):
            next(keep([], tmp_path))
    assert load(tmp_path).history == paintings[-1].history
    assert paint(load(tmp_path), n_epochs=1).run.epoch == 3
