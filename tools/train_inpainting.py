"""Train the network of `inpaint` from pictures that come with scikit-image.

    python tools/train_inpainting.py                        about two hours on 2 cores; writes
                                                            cadl_flax/inpainting.safetensors
    python tools/train_inpainting.py --rounds 4 --out FILE  a shorter training, another file
    python tools/train_inpainting.py --start FILE --seed 1  goes on with the weights of a file

Crops are drawn anew for every round (tools/crops.py), and each is seen a few times, turned and
mirrored. The crops, their order and the first weights follow from the seed; on another processor
the weights differ in their last digits, and the quality does not. The weights of the package have
seen 70 rounds without waves (`continue_waves`), then, from zeros where the network got inputs and
outputs for them, 34 with, and 10 more when waves were found at any frequency.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from flax import nnx
from PIL import Image, ImageDraw, ImageFont

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
from cadl_flax.correcting import Corrector, Repair, as_stored, lesson
from cadl_flax.sgd import TrainState, train_step
from cadl_flax.tracking import load, read_settings, save

WEIGHTS = Path(__file__).resolve().parents[1] / "cadl_flax" / "inpainting.safetensors"
SIDE = 96  # pixels, of a crop
ROUNDS = 70
RATE = 2e-3  # the largest learning rate
LETTERS = np.array(
    list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789    ,.;:!?()&%")
)
FONTS = [
    None,  # Pillow's own
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSerif-Italic.ttf",
    "STIXGeneral.ttf",
    "cmr10.ttf",
]

# ------------------------------------------------------------------------------ masks


def dots(rng: np.random.Generator) -> np.ndarray:
    "Single pixels, from a twentieth of them to nearly all."
    return rng.random((SIDE, SIDE)) < rng.uniform(0.05, 0.93)


def text(rng: np.random.Generator) -> np.ndarray:
    "Lines of letters in one font and size, half of the time turned."
    size = int(np.exp(rng.uniform(np.log(8), np.log(44))))
    font = load_font(FONTS[rng.integers(len(FONTS))], size)
    sheet = Image.new("L", (2 * SIDE, 2 * SIDE))
    draw = ImageDraw.Draw(sheet)
    y = -rng.integers(size)
    spacing = rng.uniform(1, 1.8)
    while y < 2 * SIDE:
        place = (-rng.integers(2 * size), int(y))
        letters = "".join(rng.choice(LETTERS, 2 + 8 * SIDE // size))
        draw.text(place, letters, fill=255, font=font)
        y += size * spacing
    if rng.random() < 0.5:
        sheet = sheet.rotate(rng.uniform(-30, 30))
    # the middle, which a turn leaves covered
    return np.asarray(sheet)[SIDE // 2 :][:SIDE, SIDE // 2 :][:, :SIDE] > 127


def load_font(file: str | None, size: int) -> ImageFont.FreeTypeFont:
    "A font that comes with Matplotlib, or without a name Pillow's own."
    if file is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf", file), size)


def scratches(rng: np.random.Generator) -> np.ndarray:
    "A few curves, of which most are straight."
    sheet = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(sheet)
    for _ in range(rng.integers(2, 12)):
        a, b, c, d = rng.uniform(-0.3 * SIDE, 1.3 * SIDE, (4, 2))
        if rng.random() < 0.4:
            b = a + (d - a) / 3 + rng.normal(0, 2, 2)
            c = a + (d - a) * 2 / 3 + rng.normal(0, 2, 2)
        curve = [tuple(place) for place in bezier(a, b, c, d)]
        draw.line(curve, fill=255, width=int(rng.integers(1, 6)))
    return np.asarray(sheet) > 0


def bezier(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    "Forty places on the cubic Bézier curve with these control points."
    t = np.linspace(0, 1, 40)[:, None]
    return (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d


def blocks(rng: np.random.Generator) -> np.ndarray:
    "Rectangles, and ellipses for a third of them."
    mask = np.zeros((SIDE, SIDE), bool)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for _ in range(rng.integers(3, 30)):
        h, w = rng.integers(2, 14, 2)
        i, j = rng.integers(-8, SIDE, 2)
        if rng.random() < 0.3:
            mask |= (rows - i) ** 2 + (columns - j) ** 2 < (h / 2) ** 2
        else:
            mask |= (rows >= i) & (rows < i + h) & (columns >= j) & (columns < j + w)
    return mask


def holes(rng: np.random.Generator) -> np.ndarray:
    "One to four wide rectangles or ellipses."
    sheet = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(sheet)
    for _ in range(rng.integers(1, 5)):
        h, w = rng.integers(12, 45, 2)
        top, left = rng.integers(-8, SIDE - 12, 2).tolist()
        shape = draw.ellipse if rng.random() < 0.3 else draw.rectangle
        shape((left, top, left + w - 1, top + h - 1), fill=255)
    return np.asarray(sheet) > 0


def stripes(rng: np.random.Generator) -> np.ndarray:
    "Rows or columns at equal distances."
    thickness = rng.integers(1, 7)
    distance = thickness + rng.integers(2, 16)
    along = (np.arange(SIDE) + rng.integers(distance)) % distance < thickness
    mask = np.broadcast_to(along, (SIDE, SIDE))
    return mask if rng.random() < 0.5 else mask.T


def draw_mask(rng: np.random.Generator) -> np.ndarray:
    "A mask `(SIDE, SIDE)` of one kind, and a tenth of them of two; `True` is missing."
    kinds = (dots, text, scratches, blocks, holes, stripes)
    odds = (0.32, 0.17, 0.14, 0.12, 0.2, 0.05)
    while True:
        mask = kinds[rng.choice(len(kinds), p=odds)](rng)
        if rng.random() < 0.1:
            mask = mask | kinds[rng.choice(len(kinds), p=odds)](rng)
        if 0.02 < mask.mean() < 0.94:
            return mask


# ------------------------------------------------------------------------------ lessons


def lessons(seed: list[int]) -> list[np.ndarray]:
    "A part of a round, as input `(n, SIDE, SIDE, 17)` and truth `(n, SIDE, SIDE, 3)`."
    rng = np.random.default_rng(seed)
    drawn = [lesson(draw_crop(rng, SIDE), draw_mask(rng)) for _ in range(CROPS // PARTS)]
    return [np.stack(part) for part in zip(*drawn)]


# ------------------------------------------------------------------------------ training


def new_network(seed: int) -> Corrector:
    "A network that has learned nothing yet."
    return jax.jit(lambda: Corrector(rngs=nnx.Rngs(seed)))()


def stored_network(path: Path) -> Corrector:
    "The network of a file that this program wrote."
    network = load(path, as_stored(new_network(0)))
    return jax.tree.map(lambda values: values.astype(jnp.float32), network)


def make_step(network: Corrector, n_steps: int, rate: float) -> tuple[TrainState, Callable]:
    "The state that the training begins with, and a step as a function of state, x and y."
    optimizer = optimizer_for(n_steps, rate)
    model = Repair(network)

    def step(state, x, y):
        # not `fit`: inside a compiled loop, convolutions are many times slower on a CPU
        return train_step(state, x, y, log_error, optimizer)

    return TrainState(model, optimizer.init(model)), step


def train(network: Corrector, n_rounds: int, seed: int, rate: float) -> Corrector:
    "The trained network."
    state, step = make_step(network, n_rounds * STEPS, rate)
    rng = np.random.default_rng(seed)
    began = time.time()
    for i, (x, y) in enumerate(draw_rounds(lessons, seed, n_rounds)):
        losses = []
        for batch in batches(rng, x, y):
            state, loss = step(state, *batch)
            losses.append(loss)
        _, _, fill, *_ = Repair.parts(x)
        print(
            f"round {i + 1} of {n_rounds}: {-4.343 * np.mean(losses):.2f} dB,"
            f" of the fill {-4.343 * log_error(fill, y):.2f} dB, {time.time() - began:.0f} s",
            flush=True,
        )
    return state.model.network


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--out", type=Path, default=WEIGHTS, help="where to write the weights")
    rounds_help = f"of {CROPS} crops, each seen {PASSES} times"
    args.add_argument("--rounds", type=int, default=ROUNDS, help=rounds_help)
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--start", type=Path, help="weights to go on with, at half the rate")
    args = args.parse_args()
    n_steps = args.rounds * STEPS
    network, rate = new_network(args.seed), RATE
    if args.start:
        network, rate = stored_network(args.start), RATE / 2
        n_steps += read_settings(args.start)["steps"]
    network = train(network, args.rounds, args.seed, rate)
    settings = dict(pictures=list(PICTURES), steps=n_steps, batch_size=BATCH, seed=args.seed)
    save(as_stored(network), args.out, settings=settings)


if __name__ == "__main__":
    main()
