"""A large picture: from launch to the end of a painting, or filled, and how good it is.

The arguments are a folder of photographs, which are tiled, `paint`, `text` or `dots`, and rows and
columns. Printed are seconds, decibels, the most memory in MiB, and for a painting when it passed
30 decibels.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

BEGAN = time.perf_counter()
SIDE = 400  # pixels: no photograph is smaller


def tiled(folder, h, w):
    "The photographs beside and below each other, until all is covered."
    photographs = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    rows = []
    for i in range(-(-h // SIDE)):
        numbers = (np.arange(-(-w // SIDE)) + i * 3) % len(photographs)
        row = np.hstack([photographs[number][:SIDE] for number in numbers])
        rows.append(row[:, :w])
    return np.vstack(rows)[:h]


def painted(picture):
    "The default painting: when its loss passed 30 decibels, and its own decibels at the end."
    from cadl_flax.painting import paint_chunks

    passed = None
    for painting in paint_chunks(picture, n_frames=1):
        if passed is None and painting.history[-1] < 1e-3:
            passed = time.perf_counter() - BEGAN
    trained = time.perf_counter() - BEGAN
    return dict(passed=passed, seconds=trained, psnr=painting.psnr)


def filled(picture, missing):
    "The missing pixels, filled."
    from cadl_flax import inpaint

    began = time.perf_counter()
    result = inpaint(np.where(missing[..., None], 0, picture), missing)
    seconds = time.perf_counter() - began
    error = np.mean((np.float64(result[missing]) - picture[missing]) ** 2)
    share = float(missing.mean())
    return dict(seconds=seconds, psnr=float(10 * np.log10(255**2 / error)), share=share)


def text(picture):
    "Text over three pixels in a hundred."
    import masks

    h, w = picture.shape[:2]
    small = masks.text(np.random.default_rng(0))
    missing = np.tile(small, (h // 256 + 1, w // 256 + 1))[:h, :w]
    missing &= np.indices((h, w)).sum(0) // 256 % 6 == 0
    return filled(picture, missing)


def dots(picture):
    "Half of the pixels."
    return filled(picture, np.random.default_rng(0).random(picture.shape[:2]) < 0.5)


folder, what, h, w = sys.argv[1:]
work = {"paint": painted, "text": text, "dots": dots}[what]
found = work(tiled(Path(folder), int(h), int(w)))
found["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
