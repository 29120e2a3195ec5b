"""A picture learned by spline grids and a small network behind them.

It has at most as many parameters as the peer. Timed is the training alone. Arguments are the work,
the number of threads, which is not used, and the batch size.
"""

import json
import math
import sys
import time

import numpy as np

from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind, paint

work = np.load(sys.argv[1])
side = math.isqrt(len(work["y"]))
picture = (work["y"].reshape(side, side, 3) * 255).round().astype(np.uint8)
large = work["scale"] == 1
if large:
    network = mlp_behind(HashGrid, n_levels=2, n_features=3, finest=256, width=32, depth=1)
    batch_size = int(sys.argv[3])
else:
    network = mlp_behind(HashGrid, n_levels=2, n_features=3, finest=126, depth=2)
    batch_size = 512
settings = dict(network=network, batch_size=batch_size, n_frames=1)
first = time.perf_counter()
paint(picture, n_epochs=1, **settings)
compiled = time.perf_counter() - first
began = time.perf_counter()
painting = paint(picture, seconds=float(work["seconds"]), **settings)
print(
    json.dumps(
        dict(
            seconds=time.perf_counter() - began,
            compiling=compiled,
            error=10 ** (-painting.psnr / 10),
            parameters=painting.n_parameters,
            epochs=painting.run.epoch,
        )
    )
)
