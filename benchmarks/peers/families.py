"""Photographs under eight families of masks, filled by one method.

Arguments are a folder of photographs and the method. Printed are lists with a number for each
photograph: decibels and similarity of the missing pixels, and seconds of the call.
"""

# /// script
# dependencies = ["numpy", "pillow", "scipy", "scikit-image", "opencv-contrib-python-headless"]
# ///

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from masks import FAMILIES, mask_for, middle
from PIL import Image
from scipy import sparse
from scipy.sparse.linalg import splu
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic


def biharmonic(given, mask):
    "scikit-image."
    return inpaint_biharmonic(given, mask, channel_axis=-1) * 255


def telea(given, mask):
    "OpenCV, by the method of Telea."
    return cv2.inpaint(given, np.uint8(mask), 3, cv2.INPAINT_TELEA)


def navier_stokes(given, mask):
    "OpenCV, by the equations of Navier and Stokes."
    return cv2.inpaint(given, np.uint8(mask), 3, cv2.INPAINT_NS)


def fsr_fast(given, mask):
    "OpenCV's contributed modules: frequency selective reconstruction. It takes BGR, and 0 is missing."
    filled = np.zeros_like(given)
    known = np.uint8(255 * ~mask)
    cv2.xphoto.inpaint(given[..., ::-1].copy(), known, filled, cv2.xphoto.INPAINT_FSR_FAST)
    return filled[..., ::-1]


def harmonic(given, mask):
    "Every missing pixel the mean of its four neighbours."
    rows, columns = (
        sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
        for n in mask.shape
    )
    h, w = mask.shape
    slopes = sparse.vstack(
        [sparse.kron(rows, sparse.eye_array(w)), sparse.kron(sparse.eye_array(h), columns)]
    )
    matrix = (slopes.T @ slopes).tocsr()
    unknown, known = np.flatnonzero(mask), np.flatnonzero(~mask)
    values = given.reshape(h * w, -1).astype(float)
    right = -(matrix[unknown][:, known] @ values[known])
    values[unknown] = splu(matrix[unknown][:, unknown].tocsc()).solve(right)
    return values.reshape(given.shape)


METHODS = (biharmonic, telea, navier_stokes, fsr_fast, harmonic)


def judged(fill, truth, mask):
    "Decibels and similarity at the missing pixels, as 8 bits; known ones are put back."
    filled = np.uint8(np.rint(np.clip(fill, 0, 255)))
    filled = np.where(mask[..., None], filled, truth)
    error = np.mean((np.float64(filled[mask]) - truth[mask]) ** 2) / 255**2
    options = dict(channel_axis=-1, data_range=255, full=True)
    similar = structural_similarity(filled, truth, **options)[1][mask].mean()
    return -10 * np.log10(error), similar


def main(method):
    "Print what `method(given, mask)` reaches."
    found = {}
    for family in FAMILIES:
        for path in sorted(Path(sys.argv[1]).glob("*.png")):
            truth = middle(np.asarray(Image.open(path)))
            mask = mask_for(family, path.stem)
            given = np.where(mask[..., None], 0, truth).astype(np.uint8)
            began = time.perf_counter()
            fill = method(given, mask)
            seconds = time.perf_counter() - began
            for column, value in zip(
                ("psnr", "ssim", "seconds"), (*judged(fill, truth, mask), seconds)
            ):
                found.setdefault(f"{family}, {column}", []).append(round(float(value), 4))
    print(json.dumps(found))


if __name__ == "__main__":
    main({method.__name__: method for method in METHODS}[sys.argv[2]])
