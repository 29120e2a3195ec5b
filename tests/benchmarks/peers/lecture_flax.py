"The lecture's training as the Flax tutorials write it: `nnx.jit` around one step, called from a loop."
import json, sys, time

began = time.perf_counter()
import jax.numpy as jnp, numpy as np, optax
from flax import nnx
from importlib.metadata import version

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x, y, n_epochs, size = jnp.asarray(work["x"]), jnp.asarray(work["y"]), int(work["n_epochs"]), int(work["batch_size"])

class Net(nnx.Module):
    def __init__(self, rngs):
        sizes = [2, *[64]*6, 3]
        self.layers = nnx.List([nnx.Linear(a, b, kernel_init=nnx.initializers.normal(.1), rngs=rngs) for a, b in zip(sizes, sizes[1:])])
    def __call__(self, x):
        for layer in self.layers[:-1]: x = nnx.relu(layer(x))
        return self.layers[-1](x)

def error(net, a, b): return jnp.mean(jnp.sum(jnp.abs(net(a) - b), 1))

@nnx.jit
def step(net, optimizer, a, b):
    value, slopes = nnx.value_and_grad(error)(net, a, b)
    optimizer.update(net, slopes)
    return value

first = time.perf_counter()
net = Net(nnx.Rngs(0))
optimizer, cost = nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param), nnx.jit(error)
step(net, optimizer, x[:size], y[:size]), cost(net, x, y)
compiled = time.perf_counter() - first
first = time.perf_counter()
for epoch in range(n_epochs):
    order = np.random.permutation(len(x))
    for i in range(len(x)//size):
        rows = order[i*size:(i + 1)*size]
        step(net, optimizer, x[rows], y[rows])
    last = float(cost(net, x, y))
trained = time.perf_counter() - first
print(json.dumps(dict(imports=imported, compiling=compiled, training=trained, steps=n_epochs*(len(x)//size), cost=last, version=f"flax {version('flax')}")))
