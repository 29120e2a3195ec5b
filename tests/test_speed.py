"Ratios within one run, with slack: times themselves say more of the machine than of the program. `tests/benchmarks` measures properly."
import timeit

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.regression import mse
from cadl_flax.training import fit, minibatches

X, Y = jnp.zeros((4096, 2)), jnp.ones((4096, 3))


def fastest(f, times=5):
    f() # compiles
    return min(timeit.repeat(f, number=1, repeat=times))


def test_a_step_inside_the_program_is_several_times_faster_than_one_called_from_a_loop():
    "On the lecture's network: 25 times were measured."
    network, n = MLP(2, 3, depth=6, rngs=nnx.Rngs(0)), 81
    copy = nnx.clone(network)
    optimizer = nnx.Optimizer(copy, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y): optimizer.update(model, nnx.grad(lambda m: mse(m(x), y))(model))

    def loop():
        for i in range(n): step(copy, optimizer, X[50*i:50*i + 50], Y[50*i:50*i + 50])
        jax.block_until_ready(copy.out.kernel[...])

    def scan(): jax.block_until_ready(fit(network, X, Y, key=jax.random.key(0), batch_size=50, n_epochs=5).state)
    assert fastest(loop, 2) > 3*fastest(scan)/5


def test_shuffling_is_cheaper_than_sorting():
    "Of a large picture: over a hundred times were measured."
    ours, theirs = jax.jit(lambda key: minibatches(key, 2**20, 512)), jax.jit(lambda key: jax.random.permutation(key, 2**20))
    assert fastest(lambda: ours(jax.random.key(0)).block_until_ready(), 2) < fastest(lambda: theirs(jax.random.key(0)).block_until_ready(), 1)/5
