"""Twelve megapixels: from launch to the end of a painting, and how good it is.

The arguments are a folder of photographs, which are tiled, and `paint` or `inpaint`. Printed are
seconds, decibels, the most memory in MiB, and for a painting when it passed 30 decibels.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

BEGAN = time.perf_counter()
H, W = 3000, 4000


def tiled(folder):
    "The photographs beside and below each other, until all is covered."
    photographs = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    rows = []
    for i in range(8):
        row = np.hstack([photographs[(i * 3 + j) % len(photographs)][:400] for j in range(8)])
        rows.append(row[:, :W])
    return np.vstack(rows)[:H]


def painted(picture):
    "The default painting: when its loss passed 30 decibels, and its own decibels at the end."
    from cadl_flax.painting import paint_chunks

    passed = None
    for painting in paint_chunks(picture, n_frames=1):
        if passed is None and painting.history[-1] < 1e-3:
            passed = time.perf_counter() - BEGAN
    trained = time.perf_counter() - BEGAN
    return dict(passed=passed, seconds=trained, psnr=painting.psnr)


def filled(picture):
    "Text over three pixels in a hundred, filled."
    from masks import text

    from cadl_flax import inpaint

    small = text(np.random.default_rng(0))
    missing = np.tile(small, (H // 256 + 1, W // 256 + 1))[:H, :W]
    missing &= np.indices((H, W)).sum(0) // 256 % 6 == 0
    began = time.perf_counter()
    result = inpaint(np.where(missing[..., None], 0, picture), missing)
    seconds = time.perf_counter() - began
    error = np.mean((np.float64(result[missing]) - picture[missing]) ** 2)
    share = float(missing.mean())
    return dict(seconds=seconds, psnr=float(10 * np.log10(255**2 / error)), share=share)


work = {"paint": painted, "inpaint": filled}[sys.argv[2]]
found = work(tiled(Path(sys.argv[1])))
found["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
