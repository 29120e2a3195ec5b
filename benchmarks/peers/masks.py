"Masks of eight families, 256 by 256, drawn by other code than those of the training."

from __future__ import annotations

import zlib
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 256  # pixels
WORDS = "the quick brown fox jumps over a lazy dog while seven wizards box".split()


def dots(rng: np.random.Generator, share: float) -> np.ndarray:
    "Single pixels, so many of all."
    return rng.random((SIDE, SIDE)) < share


def text(rng: np.random.Generator) -> np.ndarray:
    "Lines of words of 18 pixels, from side to side."
    sheet = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    for y in range(2, SIDE, 24):
        place = int(rng.integers(-6, 6)), y
        draw.text(place, " ".join(rng.choice(WORDS, 8)), fill=255, font=font)
    return np.asarray(sheet) > 100


def strokes(rng: np.random.Generator) -> np.ndarray:
    "Fourteen lines that wind, three pixels wide."
    sheet = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(sheet)
    for _ in range(14):
        place = rng.uniform(0, SIDE, 2)
        angle = rng.uniform(0, 2 * np.pi)
        places = [tuple(place)]
        for _ in range(20):
            angle += rng.normal(0, 0.25)
            place = place + 8 * np.array([np.cos(angle), np.sin(angle)])
            places.append(tuple(place))
        draw.line(places, fill=255, width=3)
    return np.asarray(sheet) > 0


def blocks(rng: np.random.Generator, side: int, number: int) -> np.ndarray:
    "Squares that do not touch the border."
    mask = np.zeros((SIDE, SIDE), bool)
    for i, j in rng.integers(4, SIDE - side - 4, (number, 2)):
        mask[i : i + side, j : j + side] = True
    return mask


def stripes(rng: np.random.Generator) -> np.ndarray:
    "Four of every sixteen rows, or columns."
    along = (np.arange(SIDE) + rng.integers(16)) % 16 < 4
    mask = np.broadcast_to(along, (SIDE, SIDE))
    return mask if rng.random() < 0.5 else mask.T


FAMILIES = {
    "dots 50 %": partial(dots, share=0.5),
    "dots 80 %": partial(dots, share=0.8),
    "text": text,
    "strokes of 3 px": strokes,
    "blocks of 10 px": partial(blocks, side=10, number=40),
    "blocks of 24 px": partial(blocks, side=24, number=8),
    "stripes of 4 px": stripes,
    "salt and pepper 10 %": partial(dots, share=0.1),
}


def mask_for(family: str, photograph: str) -> np.ndarray:
    "The mask of a family for a photograph, `(SIDE, SIDE)` bool, the same every time."
    return FAMILIES[family](np.random.default_rng(zlib.crc32(f"{family} {photograph}".encode())))


def middle(photograph: np.ndarray) -> np.ndarray:
    "The middle of a photograph, `(SIDE, SIDE, 3)`."
    top, left = ((n - SIDE) // 2 for n in photograph.shape[:2])
    return photograph[top : top + SIDE, left : left + SIDE]
