"""Half the pixels of a picture of 512 x 512 are missing, and are filled by one of four.

The first argument says by which. Timed is a second call.
"""

import json
import sys
import time

import numpy as np
from skimage import data
from skimage.restoration import inpaint_biharmonic

picture = data.astronaut()
mask = np.random.default_rng(0).random(picture.shape[:2]) < 0.5
given = np.where(mask[..., None], 0, picture).astype(np.uint8)


def ours():
    "This library."
    from cadl_flax import inpaint

    return inpaint(given, mask)


def biharmonic():
    "scikit-image."
    return inpaint_biharmonic(given, mask, channel_axis=-1) * 255


def telea():
    "OpenCV, by the method of Telea."
    import cv2

    return cv2.inpaint(given, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def navier_stokes():
    "OpenCV, by the equations of Navier and Stokes."
    import cv2

    return cv2.inpaint(given, mask.astype(np.uint8), 3, cv2.INPAINT_NS)


methods = (ours, biharmonic, telea, navier_stokes)
fill = {method.__name__: method for method in methods}[sys.argv[1]]
began = time.perf_counter()
fill()
first = time.perf_counter() - began
began = time.perf_counter()
filled = np.float64(fill()).round()
seconds = time.perf_counter() - began
mean_square = ((filled - picture)[mask] ** 2).mean() / 255**2
found = dict(seconds=seconds, first=first, missing_psnr=float(-10 * np.log10(mean_square)))
print(json.dumps(found))
