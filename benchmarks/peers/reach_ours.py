"""The lecture's picture, painted until its cost is the last that the lecture printed.

The network is another than the lecture's. Nothing is compiled before.
"""

import json
import sys
import time

began = time.perf_counter()
import numpy as np

from cadl_flax.painting import paint_chunks

work = np.load(sys.argv[1])
goal = float(sys.argv[2])
picture = work["y"].reshape(64, 64, 3).round().astype(np.uint8)
imported = time.perf_counter() - began
for painting in paint_chunks(picture, network="fourier", n_frames=1):
    cost = float(abs(255 * painting.render() - picture).sum(2).mean())
    if cost <= goal:
        break
print(
    json.dumps(
        dict(
            imports=imported, cost=cost, epochs=painting.run.epoch, parameters=painting.n_parameters
        )
    )
)
