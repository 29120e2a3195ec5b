"""Ratios within one run, with slack: times alone say more of the machine than of the program.

`benchmarks` measures properly."""

import timeit

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cadl_flax.networks import MLP
from cadl_flax.regression import mse
from cadl_flax.shuffling import draw_batches
from cadl_flax.training import fit

X, Y = jnp.zeros((4096, 2)), jnp.ones((4096, 3))


def fastest(f, times=5):
    "The shortest of several times that a function takes once it is compiled, in seconds."
    f()
    return min(timeit.repeat(f, number=1, repeat=times))


def epoch_by_loop(network, n_steps, batch_size):
    "A function that trains a copy of the network for an epoch, every step called from Python."
    copy = nnx.clone(network)
    optimizer = nnx.Optimizer(copy, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        optimizer.update(model, nnx.grad(lambda m: mse(m(x), y))(model))

    def train():
        for i in range(n_steps):
            batch = slice(batch_size * i, batch_size * (i + 1))
            step(copy, optimizer, X[batch], Y[batch])
        jax.block_until_ready(copy.out.kernel[...])

    return train


def test_a_step_inside_the_program_is_several_times_faster_than_one_called_from_a_loop():
    "On the lecture's network: 25 times were measured."
    network = MLP(2, 3, depth=6, rngs=nnx.Rngs(0))
    options = dict(key=jax.random.key(0), batch_size=50, n_epochs=5)

    def five_epochs():
        jax.block_until_ready(fit(network, X, Y, **options).state)

    loop = epoch_by_loop(network, n_steps=81, batch_size=50)
    assert fastest(loop, 2) > 3 * fastest(five_epochs) / 5


def test_shuffling_is_cheaper_than_sorting():
    "Of a large picture: over a hundred times were measured."
    n, key = 2**20, jax.random.key(0)
    shuffle = jax.jit(lambda key: draw_batches(key, n, 512))
    sort = jax.jit(lambda key: jax.random.permutation(key, n))
    ours = fastest(lambda: shuffle(key).block_until_ready(), 2)
    theirs = fastest(lambda: sort(key).block_until_ready(), 1)
    assert ours < theirs / 5
