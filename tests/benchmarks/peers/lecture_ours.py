"The lecture's training with `fit`: all epochs are one compiled program."
import json, sys, time

began = time.perf_counter()
import jax, jax.numpy as jnp, numpy as np
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.training import fit

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x, y, n_epochs, size = jnp.asarray(work["x"]), jnp.asarray(work["y"]), int(work["n_epochs"]), int(work["batch_size"])
normal = nnx.initializers.normal(.1)

def made(key):
    net = MLP(2, 3, width=64, depth=6, kernel_init=normal, rngs=nnx.Rngs(key))
    net.out.kernel[...] = normal(jax.random.fold_in(key, 1), (64, 3))
    return net

def summed(predictions, targets): return jnp.mean(jnp.sum(jnp.abs(predictions - targets), axis=1))
def look(model): return summed(model(x), y)

net = jax.jit(made)(jax.random.key(0))
settings = dict(key=jax.random.key(0), loss=summed, learning_rate=1e-3, batch_size=size, n_epochs=n_epochs, observe=look)
first = time.perf_counter()
jax.block_until_ready(fit(net, x, y, **settings).state)
both = time.perf_counter() - first
first = time.perf_counter()
run = jax.block_until_ready(fit(net, x, y, **settings))
trained = time.perf_counter() - first
print(json.dumps(dict(imports=imported, compiling=both - trained, training=trained, steps=n_epochs*(len(x)//size), cost=float(run.observed[-1]), version=f"jax {jax.__version__}")))
