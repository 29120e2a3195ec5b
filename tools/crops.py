"""Crops of pictures that come with scikit-image, for the networks that the package ships.

A part of the crops are drawings of shapes with sharp edges, whose lines go on for longer than in
any photograph, and another part are patterns, a few pixels of either again and again, for which
photographs of walls are too few. Worker processes draw the next ones while a network learns.
Pictures that the tests and the pages measure on are not among these: astronaut, camera, coins, and
pictures of other packages.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from PIL import Image, ImageDraw
from skimage import data

CROPS = 1000  # in a round
PASSES = 2  # over the crops of a round
BATCH = 16
STEPS = PASSES * (CROPS // BATCH)  # in a round
PARTS = 8  # of a round, each drawn by one call of a worker
DRAWINGS, PATTERNS = 0.2, 0.1  # of the crops; the others are photographs
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


def photograph(rng: np.random.Generator, side: int) -> np.ndarray:
    "A part of a picture, `(side, side, 3)` in [0, 1], often scaled down."
    while True:
        whole = draw_picture(rng)
        scale = 1.0
        if rng.random() < 0.7:
            scale = np.exp(rng.uniform(np.log(0.3), 0))
        larger = int(np.ceil(side / scale))
        if larger > min(whole.size):
            continue
        left, top = (int(rng.integers(n - larger + 1)) for n in whole.size)
        part = whole.crop((left, top, left + larger, top + larger)).convert("RGB")
        crop = np.asarray(part.resize((side, side), FILTERS[rng.integers(3)])) / 255
        # of flat crops, which teach little, a fifth is enough
        if contrast(crop) >= 0.01 or rng.random() < 0.2:
            return crop


def drawing(rng: np.random.Generator, side: int) -> np.ndarray:
    "Shapes upon shapes in the colours of a picture, `(side, side, 3)` in [0, 1]."
    detail = 4  # drawn larger, and shrunk, so that edges are soft as in a photograph
    sheet = Image.new("RGB", (detail * side, detail * side), draw_colour(rng))
    draw = ImageDraw.Draw(sheet)
    for _ in range(rng.integers(4, 40)):
        draw_shape(rng, draw, detail * side)
    crop = np.asarray(sheet.resize((side, side), Image.Resampling.BOX)) / 255
    light = np.linspace(*rng.uniform(0.7, 1.0, 2), side)
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


def pattern(rng: np.random.Generator, side: int) -> np.ndarray:
    "A small part of a photograph or a drawing, repeated as on a wall that is seen from the side."
    whole = drawing(rng, side) if rng.random() < 0.5 else photograph(rng, side)
    height, width = (int(n) for n in rng.integers(5, 25, 2))
    top, left = (int(rng.integers(side - n + 1)) for n in (height, width))
    tile = np.round(255 * whole[top : top + height, left : left + width]).astype(np.uint8)
    number = 3 * side // min(height, width)
    wall = Image.fromarray(np.tile(tile, (number, number, 1)))
    angle, scale = rng.uniform(0, 2 * np.pi), np.exp(rng.normal(0, 0.2))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shear, away = rng.normal(0, 0.15, 2), rng.normal(0, 0.15, 2) / side
    (a, b), (d, e) = turn @ np.array([[1, shear[0]], [shear[1], 1]])
    middle = np.array(wall.size) / 2
    c, f = middle - np.array([[a, b], [d, e]]) @ (side / 2, side / 2)
    seen = (a, b, c, d, e, f, *away)
    size, how = (side, side), Image.Transform.PERSPECTIVE
    crop = np.asarray(wall.transform(size, how, seen, Image.Resampling.BICUBIC)) / 255
    noise = rng.uniform(0, 0.04) * rng.normal(size=crop.shape)
    return np.clip(crop + noise, 0, 1)


def draw_crop(rng: np.random.Generator, side: int) -> np.ndarray:
    "A crop of any kind in other colours, turned and mirrored, of 8 bits, `(side, side, 3)`."
    kinds, odds = (drawing, pattern, photograph), (DRAWINGS, PATTERNS, 1 - DRAWINGS - PATTERNS)
    crop = kinds[rng.choice(len(kinds), p=odds)](rng, side)
    crop = np.rot90(crop[:: rng.choice((-1, 1))], rng.integers(4))
    crop = crop[..., rng.permutation(3)] ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.25:
        crop = 1 - crop
    return np.round(crop * 255) / 255


def contrast(crop: np.ndarray) -> float:
    "The mean difference of neighbouring pixels, down and across."
    gray = crop.mean(-1)
    return sum(np.abs(np.diff(gray, axis=axis)).mean() for axis in (0, 1))


def draw_rounds(
    draw_part: Callable[[list[int]], list[np.ndarray]],  # of a seed; a function of a module
    seed: int,
    n_rounds: int,
) -> Iterator[list[np.ndarray]]:
    "The arrays of every round; the next ones are drawn while these are used."
    # a forked process would share the locks of JAX's threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:

        def submit(round_: int) -> list[Future]:
            return [pool.submit(draw_part, [seed, round_, part]) for part in range(PARTS)]

        coming = submit(0)
        for i in range(n_rounds):
            parts = [future.result() for future in coming]
            if i + 1 < n_rounds:
                coming = submit(i + 1)
            yield [np.concatenate(arrays) for arrays in zip(*parts)]


def turned(rng: np.random.Generator, *batches: np.ndarray) -> list[np.ndarray]:
    "The same crops, all turned and mirrored in one of eight ways."
    up, left = rng.choice((-1, 1), 2)
    batches = [batch[:, ::up, ::left] for batch in batches]
    if rng.random() < 0.5:
        batches = [batch.swapaxes(1, 2) for batch in batches]
    return batches


def batches(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> Iterator[list[np.ndarray]]:
    "The crops of a round in batches, in another order in every pass, turned and mirrored."
    for _ in range(PASSES):
        for rows in np.array_split(rng.permutation(CROPS), CROPS // BATCH):
            yield turned(rng, x[rows[:BATCH]], y[rows[:BATCH]])


def log_error(predictions: Array, targets: Array) -> Array:
    "The logarithm of the mean squared error of a crop, which decibels measure: their mean."
    return jnp.log(jnp.square(predictions - targets).mean((1, 2, 3)) + FLOOR).mean()


def optimizer_for(n_steps: int, rate: float) -> optax.GradientTransformation:
    "Adam, whose learning rate rises to `rate` in 100 steps and falls along a cosine."
    schedule = optax.warmup_cosine_decay_schedule(0, rate, 100, n_steps, rate / 100)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
