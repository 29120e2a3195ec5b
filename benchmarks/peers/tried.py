"""One change to the lecture's step, named by the second argument, beside the step as it is.

Printed are the microseconds of both, in turn in one process.
"""

import json
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

work = np.load(sys.argv[1])
name = sys.argv[2]
if name == "two devices":
    jax.config.update("jax_num_cpu_devices", 2)

from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cadl_flax.networks import MLP
from cadl_flax.sgd import TrainState
from cadl_flax.shuffling import draw_batches
from cadl_flax.training import DEFAULT_OPTIMIZER

x = jnp.asarray(work["x"])
y = jnp.asarray(work["y"])
size = int(work["batch_size"])
n_epochs = 10


def summed_error(predictions, targets):
    "The mean over places of the absolute errors of all channels."
    return jnp.mean(jnp.sum(jnp.abs(predictions - targets), axis=1))


def gradient(model, a, b):
    "The error of a batch, and its gradient."
    return jax.value_and_grad(lambda m: summed_error(m(a), b))(model)


def gradient_of_halves(model, a, b):
    "Two chains that need nothing of each other, for a core each."
    half = size // 2
    first = gradient(model, a[:half], b[:half])
    second = gradient(model, a[half:], b[half:])
    return jax.tree.map(lambda p, q: (p + q) / 2, first, second)


@jax.custom_vjp
def product(x, kernel):
    "A product whose gradient is taken from a copy of `x`."
    return x @ kernel


def product_forwards(x, kernel):
    "The product, and what its gradient needs."
    return x @ kernel, (x, kernel)


def product_backwards(seen, g):
    "The gradients; the barrier makes the compiler write the turned copy."
    x, kernel = seen
    return g @ kernel.T, jax.lax.optimization_barrier(x.T) @ g


product.defvjp(product_forwards, product_backwards)


def gradient_with_copies(model, a, b):
    "The gradient of the weights from a copy of the inputs that lies turned in memory."

    def paint(m):
        h = a
        for layer in m.hidden:
            h = jax.nn.relu(product(h, layer.kernel[...]) + layer.bias[...])
        return product(h, m.out.kernel[...]) + m.out.bias[...]

    return jax.value_and_grad(lambda m: summed_error(paint(m), b))(model)


def sorted_rows(key, n, size):
    "The rows of an epoch by JAX's own permutation, which sorts."
    return jax.random.permutation(key, n)[: n // size * size].reshape(-1, size)


def epochs(gradient=gradient, draw=draw_batches, optimizer=DEFAULT_OPTIMIZER, unroll=1, place=None):
    "A training of some epochs, as a function without arguments."

    def step(state, rows):
        if place is not None:
            rows = jax.lax.with_sharding_constraint(rows, place)
        with jax.default_matmul_precision("float32"):
            value, grads = gradient(state.model, x[rows], y[rows])
        updates, opt_state = optimizer.update(grads, state.opt_state, state.model)
        return TrainState(optax.apply_updates(state.model, updates), opt_state), value

    def epoch(state, number):
        rows = draw(jax.random.fold_in(jax.random.key(0), number), len(x), size)
        return jax.lax.scan(step, state, rows, unroll=unroll)

    @jax.jit
    def train(state):
        return jax.lax.scan(epoch, state, jnp.arange(n_epochs))

    @jax.jit
    def begin(key):
        model = MLP(2, 3, width=64, depth=6, rngs=nnx.Rngs(key))
        return TrainState(model, optimizer.init(model))

    state = begin(jax.random.key(0))
    return lambda: jax.block_until_ready(train(state))


def epochs_on_two_devices():
    "Each batch split between two devices."
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    return epochs(place=NamedSharding(mesh, PartitionSpec("batch")))


changes = {
    "optax.adam": lambda: epochs(optimizer=optax.adam(1e-3)),
    "a sorted shuffle": lambda: epochs(draw=sorted_rows),
    "half a batch on each core": lambda: epochs(gradient_of_halves),
    "two devices": epochs_on_two_devices,
    "turned copies for the weights": lambda: epochs(gradient_with_copies),
    "three steps unrolled": lambda: epochs(unroll=3),
}
programs = {"ours": epochs(), "tried": changes[name]()}
seconds = {label: [] for label in programs}
for program in programs.values():
    program()  # compiles
for _ in range(12):
    for label, program in programs.items():
        began = time.perf_counter()
        program()
        seconds[label].append(time.perf_counter() - began)
n_steps = n_epochs * (len(x) // size)
print(json.dumps({k: statistics.median(v) / n_steps * 1e6 for k, v in seconds.items()}))
