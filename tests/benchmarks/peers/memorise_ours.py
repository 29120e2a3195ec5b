"A picture learned by spline grids and a small network behind them, at as many parameters as the peer has."
import json, math, sys, time

import jax
import numpy as np

from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind, paint

work = np.load(sys.argv[1])
side = math.isqrt(len(work["y"]))
picture = (work["y"].reshape(side, side, 3)*255).round().astype(np.uint8)
network = mlp_behind(HashGrid, finest=round(212*float(work["scale"])), depth=2)
began = time.perf_counter()
painting = paint(picture, network=network, seconds=float(work["seconds"]), n_frames=1)
print(json.dumps(dict(seconds=time.perf_counter() - began, psnr=painting.psnr, parameters=painting.n_parameters, version=f"jax {jax.__version__}")))
