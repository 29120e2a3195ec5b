"""Train the network of `inpaint` from pictures that come with scikit-image.

    python tools/train_inpainting.py                        about an hour on 2 cores; writes
                                                            cadl_flax/inpainting.safetensors
    python tools/train_inpainting.py --rounds 4 --out FILE  a shorter training, another file
    python tools/train_inpainting.py --start FILE --seed 1  goes on with the weights of a file

Crops are drawn anew for every round, and each is seen a few times, turned and mirrored. A part of
them are drawings of shapes with sharp edges, whose lines go on for longer than in any photograph.
Worker processes draw the next ones while the network learns. The crops, their order and the first
weights follow from the seed; on another processor the weights differ in their last digits, and the
quality does not. Pictures that the tests and page 12 measure on are not among these: astronaut,
camera, coins, and pictures of other packages.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from flax import nnx
from jax import Array
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cadl_flax.correcting import Corrector, Repair, as_stored, lesson
from cadl_flax.sgd import TrainState, train_step
from cadl_flax.tracking import load, read_settings, save

WEIGHTS = Path(__file__).resolve().parents[1] / "cadl_flax" / "inpainting.safetensors"
SIDE = 96  # pixels, of a crop
CROPS = 1000  # in a round
PARTS = 8  # of a round, each drawn by one call of a worker
PASSES = 2  # over the crops of a round
BATCH = 16
STEPS = PASSES * (CROPS // BATCH)  # in a round
ROUNDS = 70
DRAWINGS = 0.2  # of the crops; the others are photographs
RATE = 2e-3  # the largest learning rate
FLOOR = 1e-5  # a squared error below it counts little
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


# ------------------------------------------------------------------------------ crops


FILTERS = [Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]


@functools.cache
def picture(name: str) -> Image.Image:
    "A picture of scikit-image; of a stereo pair the left one."
    found = getattr(data, name)()
    if isinstance(found, tuple):
        found = found[0]
    return Image.fromarray(found)


def draw_picture(rng: np.random.Generator) -> Image.Image:
    "One of the pictures."
    names = list(PICTURES)
    odds = np.array(list(PICTURES.values()))
    return picture(names[rng.choice(len(names), p=odds / odds.sum())])


def photograph(rng: np.random.Generator) -> np.ndarray:
    "A part of a picture, `(SIDE, SIDE, 3)` in [0, 1], often scaled down."
    while True:
        whole = draw_picture(rng)
        scale = 1.0
        if rng.random() < 0.7:
            scale = np.exp(rng.uniform(np.log(0.3), 0))
        side = int(np.ceil(SIDE / scale))
        if side > min(whole.size):
            continue
        left, top = (int(rng.integers(n - side + 1)) for n in whole.size)
        part = whole.crop((left, top, left + side, top + side)).convert("RGB")
        crop = np.asarray(part.resize((SIDE, SIDE), FILTERS[rng.integers(3)])) / 255
        # of flat crops, which teach little, a fifth is enough
        if contrast(crop) >= 0.01 or rng.random() < 0.2:
            return crop


def drawing(rng: np.random.Generator) -> np.ndarray:
    "Shapes upon shapes in the colours of a picture, `(SIDE, SIDE, 3)` in [0, 1]."
    detail = 4  # drawn larger, and shrunk, so that edges are soft as in a photograph
    sheet = Image.new("RGB", (detail * SIDE, detail * SIDE), draw_colour(rng))
    draw = ImageDraw.Draw(sheet)
    for _ in range(rng.integers(4, 40)):
        draw_shape(rng, draw, detail * SIDE)
    crop = np.asarray(sheet.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255
    light = np.linspace(*rng.uniform(0.7, 1.0, 2), SIDE)
    return crop * (light[:, None, None] if rng.random() < 0.5 else light[:, None])


def draw_colour(rng: np.random.Generator) -> tuple[int, ...]:
    "The colour of a pixel of a picture."
    whole = draw_picture(rng)
    place = tuple(int(rng.integers(n)) for n in whole.size)
    return whole.crop((*place, place[0] + 1, place[1] + 1)).convert("RGB").getpixel((0, 0))


def draw_shape(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int) -> None:
    "An ellipse, a polygon, or one or several lines beside each other."
    colour = draw_colour(rng)
    centre = rng.uniform(0, side, 2)
    size = side * np.exp(rng.uniform(np.log(0.02), np.log(0.6)))
    kind = rng.random()
    if kind < 0.3:
        box = np.concatenate([centre - size / 2, centre + size * rng.uniform(-0.3, 0.5, 2)])
        low, high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
        draw.ellipse([*low, *high], fill=colour)
    elif kind < 0.6:
        corners = centre + size * rng.normal(0, 0.5, (rng.integers(3, 6), 2))
        draw.polygon([tuple(corner) for corner in corners], fill=colour)
    else:
        angle = rng.uniform(0, np.pi)
        along = side * rng.uniform(0.1, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        beside = np.array([-np.sin(angle), np.cos(angle)]) * rng.uniform(8, 40)
        width = int(rng.integers(2, 24))
        for number in range(rng.choice([1, 1, 2, 4, 8])):
            middle = centre + number * beside
            draw.line([tuple(middle - along), tuple(middle + along)], fill=colour, width=width)


def draw_crop(rng: np.random.Generator) -> np.ndarray:
    "A photograph or a drawing in other colours, turned and mirrored, of 8 bits."
    crop = drawing(rng) if rng.random() < DRAWINGS else photograph(rng)
    crop = np.rot90(crop[:: rng.choice((-1, 1))], rng.integers(4))
    crop = crop[..., rng.permutation(3)] ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.25:
        crop = 1 - crop
    return np.round(crop * 255) / 255


def contrast(crop: np.ndarray) -> float:
    "The mean difference of neighbouring pixels, down and across."
    gray = crop.mean(-1)
    return sum(np.abs(np.diff(gray, axis=axis)).mean() for axis in (0, 1))


def lessons(seed: list[int]) -> list[np.ndarray]:
    "A part of a round, as input `(n, SIDE, SIDE, 13)` and truth `(n, SIDE, SIDE, 3)`."
    rng = np.random.default_rng(seed)
    drawn = [lesson(draw_crop(rng), draw_mask(rng)) for _ in range(CROPS // PARTS)]
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


def log_error(predictions: Array, targets: Array) -> Array:
    "The logarithm of the mean squared error of a crop, which decibels measure: their mean."
    return jnp.log(jnp.square(predictions - targets).mean((1, 2, 3)) + FLOOR).mean()


def new_network(seed: int) -> Corrector:
    "A network that has learned nothing yet."
    return jax.jit(lambda: Corrector(rngs=nnx.Rngs(seed)))()


def stored_network(path: Path) -> Corrector:
    "The network of a file that this program wrote."
    network = load(path, as_stored(new_network(0)))
    return jax.tree.map(lambda values: values.astype(jnp.float32), network)


def make_step(network: Corrector, n_steps: int, rate: float) -> tuple[TrainState, Callable]:
    "The state that the training begins with, and a step as a function of state, x and y."
    schedule = optax.warmup_cosine_decay_schedule(0, rate, 100, n_steps, rate / 100)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    model = Repair(network)

    def step(state, x, y):
        # not `fit`: inside a compiled loop, convolutions are many times slower on a CPU
        return train_step(state, x, y, log_error, optimizer)

    return TrainState(model, optimizer.init(model)), step


def turned(rng: np.random.Generator, *batches: np.ndarray) -> list[np.ndarray]:
    "The same crops, all turned and mirrored in one of eight ways."
    up, left = rng.choice((-1, 1), 2)
    batches = [batch[:, ::up, ::left] for batch in batches]
    if rng.random() < 0.5:
        batches = [batch.swapaxes(1, 2) for batch in batches]
    return batches


def train(network: Corrector, n_rounds: int, seed: int, rate: float) -> Corrector:
    "The trained network."
    state, step = make_step(network, n_rounds * STEPS, rate)
    rng = np.random.default_rng(seed)
    began = time.time()
    for i, (x, y) in enumerate(draw_rounds(seed, n_rounds)):
        losses = []
        for _ in range(PASSES):
            for rows in np.array_split(rng.permutation(CROPS), CROPS // BATCH):
                state, loss = step(state, *turned(rng, x[rows[:BATCH]], y[rows[:BATCH]]))
                losses.append(loss)
        fill = jnp.asarray(x[..., 4:7])
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
