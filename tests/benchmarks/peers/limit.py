"How long the products of the lecture's step take, each shape at the best rate that JAX or NumPy reaches on it."
import json, sys, time

import jax, numpy as np

size = int(np.load(sys.argv[1])["batch_size"])

def fastest(f, times):
    f()
    taken = []
    for _ in range(7):
        began = time.perf_counter()
        f()
        taken.append((time.perf_counter() - began)/times)
    return min(taken)

def product(m, k, n, times=2000):
    "Seconds for one product `(m, k)` by `(k, n)`."
    a, b = (np.random.default_rng(0).normal(size=s).astype(np.float32) for s in ((m, k), (k, n)))
    out = np.empty((m, n), np.float32)
    def numpy():
        for _ in range(times): np.matmul(a, b, out=out)
    many = jax.jit(lambda a, b: jax.lax.scan(lambda c, _: ((c[0] + 1e-9*(c[0] @ c[1])[0, 0], c[1]), None), (a, b), length=times)[0][0])
    return min(fastest(numpy, times), fastest(lambda: jax.block_until_ready(many(a, b)), times))

sizes = [2, *[64]*6, 3]
seconds, flops = 0., 0
for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
    shapes = [(size, a, b), (a, size, b)] + ([(size, b, a)] if i else []) # forwards, to the weights, and back to the layer before
    for shape in shapes: flops += 2*np.prod(shape)
    seconds += sum(product(*shape) for shape in shapes)
print(json.dumps(dict(step=seconds, flops=int(flops))))
