"""Photographs of means over 2 by 2 pixels, made twice as large again by a formula.

Arguments are a folder of photographs and the method. Printed are lists with a number for each
photograph: decibels, similarity, and seconds of the call.
"""

# /// script
# dependencies = ["numpy", "pillow", "scikit-image"]
# ///

import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity


def resized(floats, shape, how=Image.Resampling.BICUBIC):
    "A picture of floats at another size, channel by channel."
    channels = [Image.fromarray(np.float32(floats[..., c])).resize(shape, how) for c in range(3)]
    return np.stack([np.asarray(channel) for channel in channels], -1)


def halved(picture):
    "The means over 2 by 2 pixels."
    h, w = (n // 2 for n in picture.shape[:2])
    return picture.reshape(h, 2, w, 2, 3).mean((1, 3))


def back_projection(small, shape):
    "Bicubic, and ten times what its means lack, bicubic too (Irani and Peleg, 1991)."
    guess = resized(small, shape)
    for _ in range(10):
        guess = guess + resized(small - halved(guess), shape)
    return guess


def bicubic(small, shape):
    return np.asarray(Image.fromarray(small).resize(shape, Image.Resampling.BICUBIC))


def lanczos(small, shape):
    return np.asarray(Image.fromarray(small).resize(shape, Image.Resampling.LANCZOS))


def middle(photograph, side=512):
    "The middle of a photograph, with an even number of rows and columns."
    sides = [min(n, side) // 2 * 2 for n in photograph.shape[:2]]
    h, w = sides
    top, left = ((n - s) // 2 for n, s in zip(photograph.shape, sides))
    return photograph[top : top + h, left : left + w]


def main(method):
    "Enlarge all photographs of the folder, and print the scores."
    found = {"psnr": [], "ssim": [], "seconds": []}
    for path in sorted(Path(sys.argv[1]).glob("*.png")):
        truth = middle(np.asarray(Image.open(path)))
        small = np.uint8(np.rint(halved(truth)))
        began = time.perf_counter()
        large = method(small, truth.shape[1::-1])
        found["seconds"].append(time.perf_counter() - began)
        large = np.uint8(np.rint(np.clip(large, 0, 255)))
        error = np.mean((np.float64(large) - truth) ** 2)
        found["psnr"].append(float(10 * np.log10(255**2 / error)))
        found["ssim"].append(float(structural_similarity(large, truth, channel_axis=-1)))
    print(json.dumps(found))


if __name__ == "__main__":
    main(globals()[sys.argv[2]])
