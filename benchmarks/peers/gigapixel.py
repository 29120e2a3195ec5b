"""A picture on the disk, learned from beside one of a megapixel in memory, and painted into a file.

Arguments are its side in pixels, and a folder. Printed are the seconds that a step takes, with
reading, and the most anonymous memory in KiB that the process had, which Linux tells.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import tifffile
from flax import nnx

from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind
from cadl_flax.pictures import pixels, psnr
from cadl_flax.scaling import patches, save_tiff
from cadl_flax.training import fit

side = int(sys.argv[1])
folder = Path(sys.argv[2])


class Memory(threading.Thread):
    "Looks at the anonymous memory of this process, and keeps the most."

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = 0  # KiB
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            status = Path("/proc/self/status").read_text(encoding="utf-8")
            used = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(used.split()[1]))


def scene(side, rows):
    "Rings and stripes."
    rows = np.float32(rows) / side * 2 - 1
    columns = np.linspace(-1, 1, side, dtype=np.float32)
    r, c = np.meshgrid(rows, columns, indexing="ij")
    rings = 0.5 + 0.5 * np.sin(40 * (r**2 + c**2))
    down = 0.5 + 0.5 * np.sin(30 * r)
    across = 0.5 + 0.5 * np.sin(25 * c) * rings
    return np.uint8(255 * np.stack([rings, down, across], axis=-1))


def write_scene(path):
    "Write the large picture, and leave none of it in memory."
    image = tifffile.memmap(path, shape=(side, side, 3), dtype=np.uint8, photometric="rgb")
    for top in range(0, side, 128):
        image[top : top + 128] = scene(side, np.arange(top, min(top + 128, side)))
    image.flush()
    del image
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


write_scene(folder / "large.tif")
image = tifffile.memmap(folder / "large.tif", mode="r")
memory = Memory()
memory.start()

levels = dict(n_levels=3, coarsest=32, finest=512, n_features=2, table_size=2**16, order=1)
start = mlp_behind(HashGrid, **levels, width=32, depth=1)(2, 3, rngs=nnx.Rngs(0))
settings = dict(key=jax.random.key(0), batch_size=1024, learning_rate=5e-3)
in_memory = [jax.numpy.asarray(v) for v in pixels(scene(1024, np.arange(1024)))]
epochs = patches(image, key=settings["key"])


def rows_of(name):
    "The places and colours of an epoch: new ones from the disk, or those in memory."
    return next(epochs) if name == "large" else in_memory


def seconds_a_step(name):
    "Train for four epochs; the next part of the disk is read while steps are taken on this one."
    jax.block_until_ready(runs[name])
    began = time.perf_counter()
    steps = 0
    for _ in range(4):
        runs[name] = fit(runs[name], *rows_of(name), n_epochs=1)
        steps += runs[name].losses.size
    jax.block_until_ready(runs[name])
    return (time.perf_counter() - began) / steps


# compiled before anything is timed
runs = {name: fit(start, *rows_of(name), n_epochs=1, **settings) for name in ("large", "small")}
times = dict(large=[], small=[])
for _ in range(5):
    for name, found in times.items():
        found.append(seconds_a_step(name))
trained = memory.peak
began = time.perf_counter()
save_tiff(runs["large"].model, folder / "painted.tif", side, side)
rendering = time.perf_counter() - began
memory.done.set()
painted = tifffile.TiffFile(folder / "painted.tif").pages[0]
n_segments = len(painted.dataoffsets)


def read_tile(i):
    "A tile of the painted file, and the row and column where it begins."
    with open(folder / "painted.tif", "rb") as file:
        file.seek(painted.dataoffsets[i])
        values, at, shape = painted.decode(file.read(painted.databytecounts[i]), i)
    return values[0][: shape[1], : shape[2]], at[2], at[3]


def score(i):
    "How near a tile is to the large picture, in decibels."
    values, top, left = read_tile(i)
    h, w = values.shape[:2]
    truth = np.asarray(image[top : top + h, left : left + w])
    return psnr(np.ascontiguousarray(values), truth)


print(
    json.dumps(
        dict(
            pixels=side**2,
            step=sorted(times["large"])[2],
            step_in_memory=sorted(times["small"])[2],
            trained_kib=trained,
            peak_kib=memory.peak,
            rendering=rendering,
            psnr=min(score(i) for i in (0, n_segments // 2, n_segments - 1)),
            steps=runs["large"].epoch * runs["large"].losses.size,
            bytes=(folder / "painted.tif").stat().st_size,
        )
    )
)
