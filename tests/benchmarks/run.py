"""Measure this library beside what people would use instead, the same work in one run, ours and theirs in turn. On a quiet machine, from the project's folder:

    python tests/benchmarks/run.py                     all works, three rounds, nearly two hours; writes nbs/data/benchmarks/DATE.json
    python tests/benchmarks/run.py lecture --rounds 1  one of them

Every program is a script in `peers`. What it needs besides this project stands at its top (PEP 723) and goes into a virtual environment of its own, in the
user's cache. Each gets as many threads as there are processor cores, and for the lecture's small products also one."""
from __future__ import annotations

import argparse, hashlib, json, os, platform, re, statistics, subprocess, sys, tempfile, time, tomllib
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import platformdirs
from skimage import data

from cadl_flax.pictures import pixels, shrink

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[2]
THREADS = os.cpu_count()


def python(script: Path) -> str:
    "The interpreter for a script: ours, or that of an environment with what it asks for."
    asked = re.search(r"^# /// script\n(.*?)^# ///", script.read_text(), re.M | re.S)
    if not asked: return sys.executable
    needs = tomllib.loads(re.sub(r"^# ?", "", asked[1], flags=re.M))["dependencies"]
    folder = Path(platformdirs.user_cache_dir("cadl-flax-benchmarks"))/hashlib.sha256(" ".join([sys.version, *needs]).encode()).hexdigest()[:12]
    if not (folder/"ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder/"bin"/"pip", "install", "--quiet", *needs], check=True)
        (folder/"ready").touch()
    return str(folder/"bin"/"python")


def measured(name: str, *args) -> dict:
    "What the script `peers/name.py` prints, and the seconds from its launch to its end."
    script = HERE/"peers"/f"{name}.py"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "OMP_", "XLA_"))} | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run([python(script), script, *map(str, args)], env=env, capture_output=True, text=True)
    if done.returncode: raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) | {"whole": time.perf_counter() - began}


def in_turn(programs: dict, rounds: int) -> dict:
    "All programs, one after the other, `rounds` times over: for each what it printed every time."
    for name, *_ in programs.values(): python(HERE/"peers"/f"{name}.py") # environments first
    found = {label: [] for label in programs}
    for i in range(rounds):
        for label, (name, *args) in programs.items():
            found[label].append(measured(name, *(str(arg).replace("{round}", str(i)) for arg in args)))
            print(f"round {i + 1}, {label}: {found[label][-1]}", flush=True)
    return found


def table(folder: Path, name: str, size: int, **more) -> Path:
    places, colours = pixels(shrink(data.astronaut(), size))
    if "n_epochs" in more: places, colours = places/places.std(), 255*colours # as the lecture has them
    np.savez(path := folder/f"{name}.npz", x=places, y=colours, **more)
    return path


def lecture(folder: Path, rounds: int) -> dict:
    "The lecture's training, same arithmetic: batches of 50, 40,500 steps, or a tenth of them. Small products may be faster with one thread."
    work, short = (table(folder, f"lecture{n}", 64, n_epochs=n, batch_size=50) for n in (500, 50))
    return in_turn({"cadl_flax": ("lecture_ours", work), "TensorFlow 1": ("lecture_tensorflow", work, 1), "PyTorch": ("lecture_torch", work, 1), "Keras on JAX": ("lecture_keras", work),
                    "products alone": ("limit", work), "torch.compile": ("lecture_torch", short, 1, "compile"), "Flax, step by step": ("lecture_flax", short),
                    "TensorFlow 1, all threads": ("lecture_tensorflow", short, THREADS), "PyTorch, all threads": ("lecture_torch", short, THREADS)}, rounds)


def tried(folder: Path, rounds: int) -> dict:
    "Changes to the lecture's step that were tried, each beside the step as it is."
    work = table(folder, "lecture", 64, n_epochs=10, batch_size=50)
    names = ("optax.adam", "a sorted shuffle", "half a batch on each core", "two devices", "turned copies for the weights", "three steps unrolled")
    return in_turn({name: ("tried", work, name) for name in names}, rounds)


def reach(folder: Path, rounds: int) -> dict:
    "From the launch to the last cost that the lecture printed, 41.1, everything included: ours with another network, the original with its own, or its 500 epochs."
    lecture, picture = table(folder, "lecture", 64, n_epochs=500, batch_size=50), folder/"picture.npz"
    np.savez(picture, y=np.load(lecture)["y"])
    return in_turn({"cadl_flax": ("reach_ours", picture, 41.1), "TensorFlow 1": ("lecture_tensorflow", lecture, 1, 41.1)}, rounds)


def memorise(folder: Path, rounds: int) -> dict:
    "The astronaut at 256 x 256, learned by heart in a given time, training alone; then at a quarter of the parameters."
    asked = [(seconds, scale, note) for scale, note in ((1., ""), (.5, ", a quarter")) for seconds in (5, 10, 30, 60)]
    works = {f"{seconds} s{note}": table(folder, f"memorise{seconds}{scale}", 256, seconds=seconds, scale=scale) for seconds, scale, note in asked}
    programs = {f"{name}, {label}": (script, work, THREADS, 4096) for label, work in works.items() for name, script in (("cadl_flax", "memorise_ours"), ("PyTorch", "memorise_torch"))}
    return in_turn({**programs, **{f"PyTorch {how}, 10 s": ("memorise_torch", works["10 s"], THREADS, 4096, how) for how in ("compiled", "with our levels")}}, rounds)


def inpainting(folder: Path, rounds: int) -> dict:
    "Half the pixels of a picture filled, after a first call."
    return in_turn({"cadl_flax": ("inpaint", "ours"), "scikit-image, biharmonic": ("inpaint", "biharmonic"), "OpenCV, Telea": ("inpaint", "telea"), "OpenCV, Navier-Stokes": ("inpaint", "navier_stokes")}, rounds)


def start(folder: Path, rounds: int) -> dict:
    "From typing `cadl-flax paint` to its first epoch: with an empty cache of compiled programs, and with a full one; and the imports alone."
    return in_turn({"imports": ("start_imports",), "first": ("start_ours", folder/"{round}"), "second": ("start_ours", folder/"{round}")}, rounds)


def size(folder: Path, rounds: int) -> dict:
    "One pass of painting, and rendering, from 128 x 128 to 2048 x 2048 pixels."
    return in_turn({str(side): ("size_ours", side) for side in (128, 256, 512, 1024, 2048)}, rounds)


def scaling(folder: Path, rounds: int) -> dict:
    "A step by one process and shared by two, each with one thread, and how long two take to add up what both have."
    steps = {f"width {width}, batch {batch}, processes {processes}": ("scaling", "step", width, batch, processes) for width in (64, 256) for batch in (1024, 4096, 16384) for processes in (1, 2)}
    return in_turn({**steps, **{f"{numbers} numbers in {pieces}": ("scaling", "sum", numbers, pieces, 2) for numbers, pieces in ((1100, 1), (1100, 11), (110_000, 1), (1_100_000, 1))}}, rounds)


def gigapixel(folder: Path, rounds: int) -> dict:
    "A picture of a gigapixel on the disk beside one of a megapixel in memory; eight gigabytes of disk."
    return in_turn({"gigapixel": ("gigapixel", 2**15, folder)}, rounds)


WORKS = {work.__name__: work for work in (lecture, tried, reach, memorise, inpainting, start, size, scaling, gigapixel)}


def machine() -> dict:
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "") if Path("/proc/cpuinfo").exists() else ""
    return dict(processor=cpu or platform.processor(), cores=os.cpu_count(), system=platform.platform(), python=platform.python_version(), jax=version("jax"), flax=version("flax"), cadl_flax=version("cadl_flax"))


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("work", nargs="*", choices=[*WORKS, []], help="which; all if left out")
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--out", type=Path, default=ROOT/"nbs"/"data"/"benchmarks"/f"{date.today()}.json", help="a work that is there already is replaced")
    args = args.parse_args()
    known = json.loads(args.out.read_text())["works"] if args.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.work or WORKS:
            found = WORKS[name](Path(folder), args.rounds)
            known[name] = {label: {key: [run.get(key) for run in runs] for key in runs[0]} for label, runs in found.items()}
            for label, columns in known[name].items():
                print(f"{label:20}", {key: round(statistics.median(values), 4) for key, values in columns.items() if isinstance(values[0], (int, float))})
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(dict(machine=machine(), works=known), indent=1) + "\n")


if __name__ == "__main__": main()
