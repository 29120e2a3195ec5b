"""Train the network of `inpaint` from pictures that come with scikit-image.

    python tools/train_inpainting.py                        about 40 minutes on 2 cores; writes
                                                            cadl_flax/inpainting.safetensors
    python tools/train_inpainting.py --rounds 4 --out FILE  a shorter training, another file

Crops are drawn anew for every round, so none is seen more than twice. Worker processes draw the
next ones while the network learns. The crops, their order and the first weights follow from the
seed; on another processor the weights differ in their last digits, and the quality does not.
Pictures that the tests and page 12 measure on are not among these: astronaut, camera, coins, and
pictures of other packages.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from skimage.transform import resize

from cadl_flax.correcting import lesson

WEIGHTS = Path(__file__).resolve().parents[1] / "cadl_flax" / "inpainting.safetensors"
SIDE = 80  # pixels, of a crop
CROPS = 2000  # in a round
PARTS = 8  # of a round, each drawn by one call of a worker
PASSES = 2  # over the crops of a round
BATCH = 16
ROUNDS = 32
PICTURES = dict(  # and how often each is drawn
    coffee=4,
    chelsea=3,
    stereo_motorcycle=5,
    rocket=2,
    immunohistochemistry=2,
    hubble_deep_field=1,
    retina=1,
    brick=1,
    grass=1,
    gravel=1,
    moon=1,
    clock=1,
    page=0.5,
    text=0.5,
    cell=0.3,
)
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
    "Single pixels, from a fifth of them to nearly all."
    return rng.random((SIDE, SIDE)) < rng.uniform(0.2, 0.93)


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


def draw_mask(rng: np.random.Generator) -> np.ndarray:
    "A mask `(SIDE, SIDE)` of one kind, and a tenth of them of two; `True` is missing."
    kinds = (dots, text, scratches, blocks)
    odds = (0.46, 0.22, 0.17, 0.15)
    while True:
        mask = kinds[rng.choice(4, p=odds)](rng)
        if rng.random() < 0.1:
            mask = mask | kinds[rng.choice(4, p=odds)](rng)
        if 0.02 < mask.mean() < 0.94:
            return mask


# ------------------------------------------------------------------------------ crops


@functools.cache
def picture(name: str) -> np.ndarray:
    "A picture of scikit-image in [0, 1]; of a stereo pair the left one."
    found = getattr(data, name)()
    if isinstance(found, tuple):
        found = found[0]
    return found / 255


def draw_crop(rng: np.random.Generator) -> np.ndarray:
    "A part of a picture, `(SIDE, SIDE, channels)`, often scaled down, turned and mirrored."
    names = list(PICTURES)
    odds = np.array(list(PICTURES.values()))
    while True:
        whole = picture(names[rng.choice(len(names), p=odds / odds.sum())])
        scale = 1
        if rng.random() < 0.7:
            scale = np.exp(rng.uniform(np.log(0.3), 0))
        side = int(np.ceil(SIDE / scale))
        if side > min(whole.shape[:2]):
            continue
        i, j = (rng.integers(n - side + 1) for n in whole.shape[:2])
        crop = resize(whole[i : i + side, j : j + side], (SIDE, SIDE), anti_aliasing=scale < 1)
        crop = np.atleast_3d(crop)[..., :3]
        crop = np.rot90(crop[:: rng.choice((-1, 1))], rng.integers(4))
        # of flat crops, which teach little, a fifth is enough
        if contrast(crop) >= 0.01 or rng.random() < 0.2:
            return np.round(crop * 255) / 255


def contrast(crop: np.ndarray) -> float:
    "The mean difference of neighbouring pixels, down and across."
    gray = crop.mean(-1)
    return sum(np.abs(np.diff(gray, axis=axis)).mean() for axis in (0, 1))


def lessons(seed: list[int]) -> list[np.ndarray]:
    "A part of a round, as input `(n, SIDE, SIDE, 5)` and truth `(n, SIDE, SIDE)`."
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(CROPS // PARTS):
        crop = draw_crop(rng)
        mask = draw_mask(rng)
        drawn.append(lesson(crop, mask, rng.integers(crop.shape[-1])))
    return [np.stack(part) for part in zip(*drawn)]


def draw_rounds(seed: int, n_rounds: int) -> Iterator[list[np.ndarray]]:
    "The crops of every round; the next ones are drawn while these are used."
    # a forked process would share the locks of JAX's threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:

        def submit(round_: int) -> list[Future]:
            return [pool.submit(lessons, [seed, round_, part]) for part in range(PARTS)]

        coming = submit(0)
        for i in range(n_rounds):
            parts = [future.result() for future in coming]
            if i + 1 < n_rounds:
                coming = submit(i + 1)
            yield [np.concatenate(arrays) for arrays in zip(*parts)]


# ------------------------------------------------------------------------------ training


def make_step(n_steps: int, seed: int) -> tuple[object, Callable]:
    "The state that the training begins with, and a step as a function of state, x and y."
    import jax
    import optax
    from flax import nnx

    from cadl_flax.correcting import Corrector, Repair
    from cadl_flax.regression import mae
    from cadl_flax.sgd import TrainState, train_step

    schedule = optax.warmup_cosine_decay_schedule(0, 3e-3, 100, n_steps, 3e-5)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    model = jax.jit(lambda: Repair(Corrector(rngs=nnx.Rngs(seed))))()

    def step(state, x, y):
        # not `fit`: inside a compiled loop, convolutions are many times slower on a CPU
        return train_step(state, x, y, mae, optimizer)

    return TrainState(model, optimizer.init(model)), step


def train(n_rounds: int, seed: int, n_steps: int):
    "The trained network."
    state, step = make_step(n_steps, seed)
    rng = np.random.default_rng(seed)
    began = time.time()
    for i, (x, y) in enumerate(draw_rounds(seed, n_rounds)):
        losses = []
        for _ in range(PASSES):
            for rows in np.split(rng.permutation(CROPS), CROPS // BATCH):
                state, loss = step(state, x[rows], y[rows])
                losses.append(loss)
        missing = 1 - x[..., 1].mean()
        error = np.mean(losses[len(losses) // 2 :]) / missing
        of_the_fill = np.abs(x[..., 2] - y).mean() / missing
        print(
            f"round {i + 1} of {n_rounds}: error at missing pixels {error:.4f},"
            f" of the fill {of_the_fill:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
    return state.model.network


def main() -> None:
    from cadl_flax.tracking import save

    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--out", type=Path, default=WEIGHTS, help="where to write the weights")
    rounds_help = f"of {CROPS} crops, each seen twice"
    args.add_argument("--rounds", type=int, default=ROUNDS, help=rounds_help)
    args.add_argument("--seed", type=int, default=0)
    args = args.parse_args()
    n_steps = args.rounds * PASSES * CROPS // BATCH
    network = train(args.rounds, args.seed, n_steps)
    settings = dict(pictures=list(PICTURES), steps=n_steps, batch_size=BATCH, seed=args.seed)
    save(network, args.out, settings=settings)


if __name__ == "__main__":
    main()
