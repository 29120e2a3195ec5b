"""How long the products of the lecture's step take.

Each shape is taken at the best rate that JAX or NumPy reaches on it.
"""

import json
import sys
import time

import jax
import numpy as np

size = int(np.load(sys.argv[1])["batch_size"])


def fastest(f, times):
    "The least of seven measurements: seconds for one of the `times` that a call of `f` does."
    f()
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        f()
        taken.append((time.perf_counter() - began) / times)
    return min(taken)


def product(m, k, n, times=2000):
    "Seconds for one product `(m, k)` by `(k, n)`."
    rng = np.random.default_rng(0)
    a = rng.normal(size=(m, k)).astype(np.float32)
    b = rng.normal(size=(k, n)).astype(np.float32)
    out = np.empty((m, n), np.float32)

    def by_numpy():
        for _ in range(times):
            np.matmul(a, b, out=out)

    def multiply(operands, _):
        # each product changes the next one's operand, or the compiler would do one only
        a, b = operands
        return (a + 1e-9 * (a @ b)[0, 0], b), None

    @jax.jit
    def multiply_often(a, b):
        return jax.lax.scan(multiply, (a, b), length=times)[0][0]

    def by_jax():
        jax.block_until_ready(multiply_often(a, b))

    return min(fastest(by_numpy, times), fastest(by_jax, times))


sizes = [2, *[64] * 6, 3]
seconds = 0.0
flops = 0
for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
    shapes = [(size, a, b), (a, size, b)]  # forwards, and to the weights
    if i > 0:
        shapes.append((size, b, a))  # back to the layer before
    for shape in shapes:
        flops += 2 * np.prod(shape)
    seconds += sum(product(*shape) for shape in shapes)
print(json.dumps(dict(step=seconds, flops=int(flops))))
