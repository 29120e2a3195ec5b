"""Measure this library beside what people would use instead: the same work, ours and theirs.

    python benchmarks/run.py                     all works, three rounds, over two hours; writes
                                                 nbs/data/benchmarks/DATE.json
    python benchmarks/run.py lecture --rounds 1  one of them

On a quiet machine, from the project's folder. The programs run in turn, and each is a script in
`peers`. What it needs besides this project stands at its top (PEP 723) and goes into a virtual
environment of its own, in the user's cache. Each gets as many threads as there are processor cores,
and for the lecture's small products also one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import platformdirs
from skimage import data

from cadl_flax.pictures import pixels, shrink

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
THREADS = os.cpu_count()


def requirements(script: Path) -> list[str]:
    "What a script asks for at its top (PEP 723)."
    source = script.read_text(encoding="utf-8")
    block = re.search(r"^# /// script\n(.*?)^# ///", source, re.M | re.S)
    if not block:
        return []
    return tomllib.loads(re.sub(r"^# ?", "", block[1], flags=re.M))["dependencies"]


def python(script: Path) -> str:
    "The interpreter for a script: ours, or that of an environment with what it asks for."
    needs = requirements(script)
    if not needs:
        return sys.executable
    digest = hashlib.sha256(" ".join([sys.version, *needs]).encode()).hexdigest()[:12]
    folder = Path(platformdirs.user_cache_dir("cadl-flax-benchmarks")) / digest
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *needs], check=True)
        (folder / "ready").touch()
    return str(folder / "bin" / "python")


def measured(name: str, *args) -> dict:
    "What the script `peers/name.py` prints, and the seconds from its launch to its end."
    script = HERE / "peers" / f"{name}.py"
    # settings of the caller's shell would change what is measured
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "OMP_", "XLA_"))}
    command = [python(script), script, *map(str, args)]
    env = kept | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"whole": seconds}


def in_turn(programs: dict, rounds: int) -> dict:
    "All programs, one after the other, `rounds` times over: for each what it printed every time."
    for name, *_ in programs.values():
        python(HERE / "peers" / f"{name}.py")  # installing is no part of what is measured
    found = {label: [] for label in programs}
    for i in range(rounds):
        for label, (name, *args) in programs.items():
            given = [str(arg).replace("{round}", str(i)) for arg in args]
            found[label].append(measured(name, *given))
            print(f"round {i + 1}, {label}: {found[label][-1]}", flush=True)
    return found


def table(folder: Path, name: str, size: int, **more) -> Path:
    "The file with the work of a program: places and colours of the astronaut, and `more`."
    places, colours = pixels(shrink(data.astronaut(), size))
    if "n_epochs" in more:  # as the lecture has them
        places = places / places.std()
        colours = 255 * colours
    path = folder / f"{name}.npz"
    np.savez(path, x=places, y=colours, **more)
    return path


def lecture(folder: Path, rounds: int) -> dict:
    """The lecture's training, same arithmetic: batches of 50, 40,500 steps, or a tenth of them.

    Small products may be faster with one thread.
    """
    work = table(folder, "lecture500", 64, n_epochs=500, batch_size=50)
    short = table(folder, "lecture50", 64, n_epochs=50, batch_size=50)
    return in_turn(
        {
            "cadl_flax": ("lecture_ours", work),
            "TensorFlow 1": ("lecture_tensorflow", work, 1),
            "PyTorch": ("lecture_torch", work, 1),
            "Keras on JAX": ("lecture_keras", work),
            "products alone": ("limit", work),
            "torch.compile": ("lecture_torch", short, 1, "compile"),
            "Flax, step by step": ("lecture_flax", short),
            "TensorFlow 1, all threads": ("lecture_tensorflow", short, THREADS),
            "PyTorch, all threads": ("lecture_torch", short, THREADS),
        },
        rounds,
    )


def tried(folder: Path, rounds: int) -> dict:
    "Changes to the lecture's step that were tried, each beside the step as it is."
    work = table(folder, "lecture", 64, n_epochs=10, batch_size=50)
    names = (
        "optax.adam",
        "a sorted shuffle",
        "half a batch on each core",
        "two devices",
        "turned copies for the weights",
        "three steps unrolled",
    )
    return in_turn({name: ("tried", work, name) for name in names}, rounds)


def reach(folder: Path, rounds: int) -> dict:
    """From the launch to the last cost that the lecture printed, 41.1, everything included.

    Ours takes another network, the original its own; it may end after its 500 epochs.
    """
    lecture = table(folder, "lecture", 64, n_epochs=500, batch_size=50)
    picture = folder / "picture.npz"
    np.savez(picture, y=np.load(lecture)["y"])
    programs = {
        "cadl_flax": ("reach_ours", picture, 41.1),
        "TensorFlow 1": ("lecture_tensorflow", lecture, 1, 41.1),
    }
    return in_turn(programs, rounds)


def memorise(folder: Path, rounds: int) -> dict:
    """The astronaut at 256 x 256, learned by heart in a given time, training alone.

    Then the same at a quarter of the parameters.
    """
    programs = {}
    for scale, note in ((1.0, ""), (0.5, ", a quarter")):
        for seconds in (5, 10, 30, 60):
            work = table(folder, f"memorise{seconds}{scale}", 256, seconds=seconds, scale=scale)
            for name, script in (("cadl_flax", "memorise_ours"), ("PyTorch", "memorise_torch")):
                programs[f"{name}, {seconds} s{note}"] = (script, work, THREADS, 4096)
    ten_seconds = folder / "memorise101.0.npz"
    for how in ("compiled", "with our levels"):
        programs[f"PyTorch {how}, 10 s"] = ("memorise_torch", ten_seconds, THREADS, 4096, how)
    return in_turn(programs, rounds)


def inpainting(folder: Path, rounds: int) -> dict:
    "Half the pixels of a picture filled, after a first call."
    return in_turn(
        {
            "cadl_flax": ("inpaint", "ours"),
            "scikit-image, biharmonic": ("inpaint", "biharmonic"),
            "OpenCV, Telea": ("inpaint", "telea"),
            "OpenCV, Navier-Stokes": ("inpaint", "navier_stokes"),
        },
        rounds,
    )


def families(folder: Path, rounds: int) -> dict:
    """Ten photographs under eight families of masks, once: the same fills come every time.

    Needs Debian's packages, from which the photographs are.
    """
    subprocess.run([sys.executable, HERE / "photographs.py", folder], check=True)
    peers = {
        "OpenCV, FSR_FAST": "fsr_fast",
        "scikit-image, biharmonic": "biharmonic",
        "harmonic": "harmonic",
        "OpenCV, Telea": "telea",
        "OpenCV, Navier-Stokes": "navier_stokes",
    }
    programs = {"cadl_flax": ("families_ours", folder / "judged")}
    programs |= {label: ("families", folder / "judged", method) for label, method in peers.items()}
    return in_turn(programs, 1)


def enlarging(folder: Path, rounds: int) -> dict:
    "The same photographs, halved and made as large as they were, once."
    subprocess.run([sys.executable, HERE / "photographs.py", folder], check=True)
    theirs = {"bicubic": "bicubic", "Lanczos": "lanczos", "back-projection": "back_projection"}
    ours = {
        "paint, centres": "of_centres",
        "paint": "painted",
        "enlarge": "enlarged",
        "paint of enlarge": "enlarged_and_painted",
    }
    programs = {label: ("enlarging", folder / "judged", how) for label, how in theirs.items()}
    programs |= {label: ("enlarging_ours", folder / "judged", how) for label, how in ours.items()}
    return in_turn(programs, 1)


def large(folder: Path, rounds: int) -> dict:
    "Twelve megapixels of the same photographs, painted and mended, once."
    subprocess.run([sys.executable, HERE / "photographs.py", folder], check=True)
    program = "large_ours", folder / "judged"
    return in_turn({what: (*program, what, 3000, 4000) for what in ("paint", "text", "dots")}, 1)


def megapixels(folder: Path, rounds: int) -> dict:
    """Paintings of 1 to 50 megapixels of the same photographs, once.

    Takes twenty minutes and seven gigabytes of memory.
    """
    subprocess.run([sys.executable, HERE / "photographs.py", folder], check=True)
    sizes = {"1": (1000, 1000), "4": (1730, 2310), "12": (3000, 4000), "50": (6124, 8165)}
    program = "large_ours", folder / "judged", "paint"
    return in_turn({size: (*program, *sides) for size, sides in sizes.items()}, 1)


def start(folder: Path, rounds: int) -> dict:
    """From typing `cadl-flax paint` to its first epoch, and the imports alone.

    First with an empty cache of compiled programs, then with a full one.
    """
    programs = {
        "imports": ("start_imports",),
        "first": ("start_ours", folder / "{round}"),
        "second": ("start_ours", folder / "{round}"),
    }
    return in_turn(programs, rounds)


def size(folder: Path, rounds: int) -> dict:
    "One pass of painting, and rendering, from 128 x 128 to 2048 x 2048 pixels."
    return in_turn({str(side): ("size_ours", side) for side in (128, 256, 512, 1024, 2048)}, rounds)


def scaling(folder: Path, rounds: int) -> dict:
    """A step by one process and shared by two, each with one thread.

    And how long two processes take to add up what both have.
    """
    programs = {}
    for width in (64, 256):
        for batch in (1024, 4096, 16384):
            for n in (1, 2):
                label = f"width {width}, batch {batch}, processes {n}"
                programs[label] = ("scaling", "step", width, batch, n)
    for numbers, pieces in ((1100, 1), (1100, 11), (110_000, 1), (1_100_000, 1)):
        programs[f"{numbers} numbers in {pieces}"] = ("scaling", "sum", numbers, pieces, 2)
    return in_turn(programs, rounds)


def gigapixel(folder: Path, rounds: int) -> dict:
    """A picture of a gigapixel on the disk beside one of a megapixel in memory.

    Takes eight gigabytes of disk.
    """
    return in_turn({"gigapixel": ("gigapixel", 2**15, folder)}, rounds)


WORKS = {
    work.__name__: work
    for work in (
        lecture,
        tried,
        reach,
        memorise,
        inpainting,
        families,
        enlarging,
        large,
        megapixels,
        start,
        size,
        scaling,
        gigapixel,
    )
}


def processor() -> str:
    "The name of the processor, as Linux or Python tells it."
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def machine() -> dict:
    "The machine and the versions, which stand beside every measurement."
    return dict(
        processor=processor(),
        cores=os.cpu_count(),
        system=platform.platform(),
        python=platform.python_version(),
        jax=version("jax"),
        flax=version("flax"),
        cadl_flax=version("cadl_flax"),
    )


def columns(runs: list[dict]) -> dict[str, list]:
    "What a program printed in all rounds, a list for each name."
    return {key: [run.get(key) for run in runs] for key in runs[0]}


def medians(found: dict[str, list]) -> dict[str, float]:
    "The median of each list of numbers."
    numbers = {key: values for key, values in found.items() if isinstance(values[0], (int, float))}
    return {key: round(statistics.median(values), 4) for key, values in numbers.items()}


def arguments() -> argparse.Namespace:
    "What the command line says."
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("work", nargs="*", choices=[*WORKS, []], help="which; all if left out")
    args.add_argument("--rounds", type=int, default=3)
    out = ROOT / "nbs" / "data" / "benchmarks" / f"{date.today()}.json"
    args.add_argument("--out", type=Path, default=out, help="a work that is there is replaced")
    return args.parse_args()


def main() -> None:
    args = arguments()
    known = {}
    if args.out.exists():
        known = json.loads(args.out.read_text(encoding="utf-8"))["works"]
    with tempfile.TemporaryDirectory() as folder:
        for name in args.work or WORKS:
            found = WORKS[name](Path(folder), args.rounds)
            known[name] = {label: columns(runs) for label, runs in found.items()}
            for label, values in known[name].items():
                print(f"{label:20}", medians(values))
    args.out.parent.mkdir(exist_ok=True)
    content = json.dumps(dict(machine=machine(), works=known), indent=1) + "\n"
    args.out.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
