"The lecture's training with `fit`: all epochs are one compiled program."

import json
import sys
import time

began = time.perf_counter()
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.training import fit

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x = jnp.asarray(work["x"])
y = jnp.asarray(work["y"])
n_epochs = int(work["n_epochs"])
size = int(work["batch_size"])
normal = nnx.initializers.normal(0.1)


def make_network(key):
    "The lecture's network, drawn as it draws it."
    net = MLP(2, 3, width=64, depth=6, kernel_init=normal, rngs=nnx.Rngs(key))
    net.out.kernel[...] = normal(jax.random.fold_in(key, 1), (64, 3))
    return net


def summed_error(predictions, targets):
    "The mean over places of the absolute errors of all channels."
    return jnp.mean(jnp.sum(jnp.abs(predictions - targets), axis=1))


def cost(model):
    "The error of all places."
    return summed_error(model(x), y)


net = jax.jit(make_network)(jax.random.key(0))
settings = dict(
    key=jax.random.key(0),
    loss=summed_error,
    learning_rate=1e-3,
    batch_size=size,
    n_epochs=n_epochs,
    observe=cost,
)
first = time.perf_counter()
jax.block_until_ready(fit(net, x, y, **settings).state)
both = time.perf_counter() - first
first = time.perf_counter()
run = jax.block_until_ready(fit(net, x, y, **settings))
trained = time.perf_counter() - first
print(
    json.dumps(
        dict(
            imports=imported,
            compiling=both - trained,
            training=trained,
            steps=n_epochs * (len(x) // size),
            cost=float(run.observed[-1]),
            version=f"jax {jax.__version__}",
        )
    )
)
