"Painting one pass over a picture, rendering it, and the memory of both, for a number of pixels."
import json, resource, sys, time

import jax, jax.numpy as jnp, numpy as np
from flax import nnx

from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind
from cadl_flax.pictures import pixels, render
from cadl_flax.training import fit

side = int(sys.argv[1])
picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
model = jax.jit(lambda: mlp_behind(HashGrid, finest=128, depth=2)(2, 3, rngs=nnx.Rngs(0)))()
render(model, 64, 64)
before = peak()
rows = side*side//512
x, y = (jnp.asarray(a) for a in pixels(picture))
settings = dict(batch_size=512, n_batches=rows, n_epochs=1)
run = fit(model, x, y, key=jax.random.key(0), **settings)
began = time.perf_counter()
jax.block_until_ready(fit(run, x, y, n_epochs=1).state)
trained, after = time.perf_counter() - began, peak()
began = time.perf_counter()
render(model, side, side)
print(json.dumps(dict(pixels=side*side, training=trained, rendering=time.perf_counter() - began, before_mib=before, trained_mib=after, rendered_mib=peak())))
