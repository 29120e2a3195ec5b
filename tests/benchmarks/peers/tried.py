"One change to the lecture's step, named by the second argument, beside the step as it is: microseconds of both, in turn in one process."
import json, statistics, sys, time

import jax, jax.numpy as jnp, numpy as np, optax

work, name = np.load(sys.argv[1]), sys.argv[2]
if name == "two devices": jax.config.update("jax_num_cpu_devices", 2)

from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cadl_flax.networks import MLP
from cadl_flax.training import TrainState, _adam, minibatches

x, y, size, n_epochs = jnp.asarray(work["x"]), jnp.asarray(work["y"]), int(work["batch_size"]), 10

def summed(predictions, targets): return jnp.mean(jnp.sum(jnp.abs(predictions - targets), axis=1))
def slopes(model, a, b): return jax.value_and_grad(lambda m: summed(m(a), b))(model)

def of_halves(model, a, b):
    "Two chains that need nothing of each other, for a core each."
    (v, g), (w, h) = (slopes(model, a[part], b[part]) for part in (slice(size//2), slice(size//2, size)))
    return (v + w)/2, jax.tree.map(lambda p, q: (p + q)/2, g, h)

@jax.custom_vjp
def product(x, kernel): return x @ kernel
product.defvjp(lambda x, kernel: (x @ kernel, (x, kernel)), lambda seen, g: (g @ seen[1].T, jax.lax.optimization_barrier(seen[0].T) @ g))

def with_copies(model, a, b):
    "The gradient of the weights from a copy of the inputs that lies turned in memory."
    def painted(m):
        h = a
        for layer in m.hidden: h = jax.nn.relu(product(h, layer.kernel[...]) + layer.bias[...])
        return product(h, m.out.kernel[...]) + m.out.bias[...]
    return jax.value_and_grad(lambda m: summed(painted(m), b))(model)

def sorted_rows(key, n, size): return jax.random.permutation(key, n)[:n//size*size].reshape(-1, size)

def epochs(gradient=slopes, rows=minibatches, optimizer=_adam, unroll=1, place=lambda rows: rows):
    "A training of some epochs, as a function without arguments."
    def step(state, rows):
        rows = place(rows)
        with jax.default_matmul_precision("float32"): value, grads = gradient(state.model, x[rows], y[rows])
        updates, opt_state = optimizer.update(grads, state.opt_state, state.model)
        return TrainState(optax.apply_updates(state.model, updates), opt_state), value
    def epoch(state, e): return jax.lax.scan(step, state, rows(jax.random.fold_in(jax.random.key(0), e), len(x), size), unroll=unroll)
    model = jax.jit(lambda key: MLP(2, 3, width=64, depth=6, rngs=nnx.Rngs(key)))(jax.random.key(0))
    train, state = jax.jit(lambda state: jax.lax.scan(epoch, state, jnp.arange(n_epochs))), TrainState(model, optimizer.init(model))
    return lambda: jax.block_until_ready(train(state))

def shared():
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    return epochs(place=lambda rows: jax.lax.with_sharding_constraint(rows, NamedSharding(mesh, PartitionSpec("batch"))))

changes = {"optax.adam": lambda: epochs(optimizer=optax.adam(1e-3)), "a sorted shuffle": lambda: epochs(rows=sorted_rows), "half a batch on each core": lambda: epochs(of_halves),
           "two devices": shared, "turned copies for the weights": lambda: epochs(with_copies), "three steps unrolled": lambda: epochs(unroll=3)}
ours, theirs = epochs(), changes[name]()
took = {ours: [], theirs: []}
for f in took: f()
for _ in range(12):
    for f, seconds in took.items():
        began = time.perf_counter()
        f()
        seconds.append(time.perf_counter() - began)
steps = n_epochs*(len(x)//size)
print(json.dumps(dict(ours=statistics.median(took[ours])/steps*1e6, tried=statistics.median(took[theirs])/steps*1e6)))
