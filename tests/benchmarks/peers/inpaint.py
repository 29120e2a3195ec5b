"Half the pixels of a picture of 512 x 512 are missing, and are filled by one of four. Timed is a second call."
import json, sys, time

import numpy as np
from skimage import data
from skimage.restoration import inpaint_biharmonic

picture = data.astronaut()
mask = np.random.default_rng(0).random(picture.shape[:2]) < .5
given = np.where(mask[..., None], 0, picture).astype(np.uint8)

def ours():
    from cadl_flax import inpaint
    return inpaint(given, mask)
def biharmonic(): return inpaint_biharmonic(given, mask, channel_axis=-1)*255
def telea():
    import cv2
    return cv2.inpaint(given, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
def navier_stokes():
    import cv2
    return cv2.inpaint(given, mask.astype(np.uint8), 3, cv2.INPAINT_NS)

fill = dict(ours=ours, biharmonic=biharmonic, telea=telea, navier_stokes=navier_stokes)[sys.argv[1]]
first = time.perf_counter()
fill()
first = time.perf_counter() - first
began = time.perf_counter()
filled = np.float64(fill()).round()
print(json.dumps(dict(seconds=time.perf_counter() - began, first=first, missing_psnr=float(-10*np.log10(((filled - picture)[mask]**2).mean()/255**2)))))
