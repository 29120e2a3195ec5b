"A process forked after JAX had started says so at once where JAX would hang; inpaint works."

import multiprocessing
import subprocess
import sys

import pytest

if "fork" not in multiprocessing.get_all_start_methods():
    pytest.skip("there is no fork here", allow_module_level=True)

PROGRAM = """
import multiprocessing
import sys

import jax
import numpy as np
from flax import nnx

from cadl_flax import fit, inpaint, paint
from cadl_flax.networks import MLP
from cadl_flax.pictures import render
from cadl_flax.tracking import load, save

GRAY = np.tile(np.arange(16, dtype=np.uint8) * 9, (16, 1))
X = np.ones((4, 1), int)


def make():
    return MLP(1, 1, rngs=nnx.Rngs(0)), jax.random.key(0)


# made before the fork, if it comes after JAX has started: making a network or a key concerns JAX
# alone, which does not know of forks
MADE = []


def work(name):
    model, key = MADE[0] if MADE else make()
    tasks = dict(
        fit=lambda: fit(model, X, X, key=key, n_epochs=1),
        paint=lambda: paint(GRAY, n_epochs=1, network="mlp"),
        inpaint=lambda: inpaint(GRAY, GRAY == 9),
        render=lambda: render(lambda x: x, 4, 4),
        load=lambda: load("model.safetensors", model),
    )
    try:
        return type(tasks[name]()).__name__
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    jax_has_started, method, *names = sys.argv[1:]
    if jax_has_started == "yes":
        MADE.append(make())
        save(MADE[0][0], "model.safetensors")
    with multiprocessing.get_context(method).Pool(1) as pool:
        for name in names:
            try:
                print(name, pool.apply_async(work, [name]).get(30))
            except multiprocessing.TimeoutError:
                print(name, "hangs")
                break
        pool.terminate()
"""


@pytest.fixture
def ask(tmp_path):
    "A function that runs the program: the lines that it prints."
    (tmp_path / "program.py").write_text(PROGRAM)

    def ask(method, *names, jax_has_started):
        started = "yes" if jax_has_started else "no"
        line = [sys.executable, "program.py", started, method, *names]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return ask


@pytest.mark.parametrize("name", ["fit", "paint", "render", "load"])
def test_a_late_fork_is_refused_at_once(ask, name):
    (line,) = ask("fork", name, jax_has_started=True)
    assert line.startswith(f"{name} this process was forked after JAX had started")
    assert "get_context('spawn')" in line


def test_inpaint_works_in_a_late_fork(ask):
    assert ask("fork", "inpaint", jax_has_started=True) == ["inpaint ndarray"]


def test_a_fork_before_jax_started_works(ask):
    assert ask("fork", "render", "fit", "paint", "inpaint", jax_has_started=False) == [
        "render ndarray",
        "fit Run",
        "paint Painting",
        "inpaint ndarray",
    ]


def test_a_late_spawn_works(ask):
    lines = ask("spawn", "render", "fit", "inpaint", jax_has_started=True)
    assert lines == ["render ndarray", "fit Run", "inpaint ndarray"]
