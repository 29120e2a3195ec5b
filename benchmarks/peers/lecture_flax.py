"""The lecture's training as the Flax tutorials write it.

That is `nnx.jit` around one step, called from a loop.
"""

import json
import sys
import time

began = time.perf_counter()
from importlib.metadata import version

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x = jnp.asarray(work["x"])
y = jnp.asarray(work["y"])
n_epochs = int(work["n_epochs"])
size = int(work["batch_size"])


class Net(nnx.Module):
    "The lecture's network."

    def __init__(self, rngs):
        sizes = [2, *[64] * 6, 3]
        normal = nnx.initializers.normal(0.1)
        layers = [nnx.Linear(a, b, kernel_init=normal, rngs=rngs) for a, b in zip(sizes, sizes[1:])]
        self.layers = nnx.List(layers)

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


def error(net, a, b):
    "The mean over places of the absolute errors of all channels."
    return jnp.mean(jnp.sum(jnp.abs(net(a) - b), 1))


@nnx.jit
def step(net, optimizer, a, b):
    "A step on one batch; its error before it."
    value, slopes = nnx.value_and_grad(error)(net, a, b)
    optimizer.update(net, slopes)
    return value


first = time.perf_counter()
net = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param)
cost = nnx.jit(error)
step(net, optimizer, x[:size], y[:size])
cost(net, x, y)
compiled = time.perf_counter() - first
first = time.perf_counter()
for epoch in range(n_epochs):
    order = np.random.permutation(len(x))
    for i in range(len(x) // size):
        rows = order[i * size : (i + 1) * size]
        step(net, optimizer, x[rows], y[rows])
    last = float(cost(net, x, y))
trained = time.perf_counter() - first
print(
    json.dumps(
        dict(
            imports=imported,
            compiling=compiled,
            training=trained,
            steps=n_epochs * (len(x) // size),
            cost=last,
            version=f"flax {version('flax')}",
        )
    )
)
