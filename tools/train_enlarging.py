"""Train the network of `enlarge` from pictures that come with scikit-image.

    python tools/train_enlarging.py                        about an hour on 2 cores; writes
                                                           cadl_flax/enlarging.safetensors
    python tools/train_enlarging.py --rounds 4 --out FILE  a shorter training, another file

Crops are drawn anew for every round (tools/crops.py), and each is seen a few times, turned and
mirrored. The network sees the means of 2 by 2 pixels, rounded to 8 bits, and is to give the pixels.
The crops, their order and the first weights follow from the seed; on another processor the weights
differ in their last digits, and the quality does not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from crops import (
    BATCH,
    CROPS,
    PARTS,
    PASSES,
    PICTURES,
    STEPS,
    batches,
    draw_crop,
    draw_rounds,
    log_error,
    optimizer_for,
)
from cadl_flax.correcting import as_stored
from cadl_flax.enlarging import Enlarger
from cadl_flax.sgd import TrainState, train_step
from cadl_flax.tracking import save

WEIGHTS = Path(__file__).resolve().parents[1] / "cadl_flax" / "enlarging.safetensors"
SIDE = 64  # pixels, of a crop
ROUNDS = 90
RATE = 2e-3  # the largest learning rate


def lessons(seed: list[int]) -> list[np.ndarray]:
    "A part of a round: crops at half their size, and as they are, `(n, SIDE, SIDE, 3)`."
    rng = np.random.default_rng(seed)
    crops = np.stack([draw_crop(rng, SIDE) for _ in range(CROPS // PARTS)])
    half = SIDE // 2
    means = crops.reshape(-1, half, 2, half, 2, 3).mean((2, 4))
    return [np.float32(np.round(means * 255) / 255), np.float32(crops)]


def train(n_rounds: int, seed: int) -> Enlarger:
    "The trained network."
    network = jax.jit(lambda: Enlarger(rngs=nnx.Rngs(seed)))()
    optimizer = optimizer_for(n_rounds * STEPS, RATE)
    state = TrainState(network, optimizer.init(network))
    rng = np.random.default_rng(seed)
    began = time.time()
    for i, (x, y) in enumerate(draw_rounds(lessons, seed, n_rounds)):
        losses = []
        for batch in batches(rng, x, y):
            # not `fit`: inside a compiled loop, convolutions are many times slower on a CPU
            state, loss = train_step(state, *batch, log_error, optimizer)
            losses.append(loss)
        nearest = x.repeat(2, axis=1).repeat(2, axis=2)
        print(
            f"round {i + 1} of {n_rounds}: {-4.343 * np.mean(losses):.2f} dB,"
            f" of the squares {-4.343 * log_error(nearest, y):.2f} dB, {time.time() - began:.0f} s",
            flush=True,
        )
    return state.model


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--out", type=Path, default=WEIGHTS, help="where to write the weights")
    rounds_help = f"of {CROPS} crops, each seen {PASSES} times"
    args.add_argument("--rounds", type=int, default=ROUNDS, help=rounds_help)
    args.add_argument("--seed", type=int, default=0)
    args = args.parse_args()
    network = train(args.rounds, args.seed)
    n_steps = args.rounds * STEPS
    settings = dict(pictures=list(PICTURES), steps=n_steps, batch_size=BATCH, seed=args.seed)
    save(as_stored(network), args.out, settings=settings)


if __name__ == "__main__":
    main()
