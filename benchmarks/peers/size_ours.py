"""Painting one pass over a picture, rendering it, and the memory of both.

The argument is the side of the picture. Timed without compiling, small pictures several times.
"""

import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind
from cadl_flax.pictures import pixels, render
from cadl_flax.training import fit

side = int(sys.argv[1])
picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def peak():
    "The most memory that the process had, MiB."
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(f):
    "The median of the seconds that a call takes, after a first one, in two seconds of calls."
    f()
    took = []
    while sum(took) < 2:  # seconds
        began = time.perf_counter()
        f()
        took.append(time.perf_counter() - began)
    return float(np.median(took))


model = jax.jit(lambda: mlp_behind(HashGrid, finest=128, depth=2)(2, 3, rngs=nnx.Rngs(0)))()
before = peak()
rendering = timed(lambda: render(model, side, side))
rendered = peak()
x, y = (jnp.asarray(a) for a in pixels(picture))
run = fit(
    model, x, y, key=jax.random.key(0), batch_size=512, n_batches=side * side // 512, n_epochs=1
)
training = timed(lambda: jax.block_until_ready(fit(run, x, y, n_epochs=1).state))
print(
    json.dumps(
        dict(
            pixels=side * side,
            training=training,
            rendering=rendering,
            before_mib=before,
            rendered_mib=rendered,
            trained_mib=peak(),
        )
    )
)
