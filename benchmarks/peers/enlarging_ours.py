"""As `enlarging`, by this library. Arguments are a folder of photographs and what is done."""

import sys

from enlarging import main

from cadl_flax import enlarge, paint


def painted(small, shape):
    "The default painting, drawn at twice its size."
    return 255 * paint(small, n_frames=1).render(*shape[::-1])


def of_centres(small, shape):
    "The same, with a pixel for the colour at its centre."
    return 255 * paint(small, supersample=1, n_epochs=100, n_frames=1).render(*shape[::-1])


def enlarged(small, shape):
    "With detail that a network has learned."
    return enlarge(small)


def enlarged_and_painted(small, shape):
    "A painting of that."
    return 255 * paint(enlarge(small), n_frames=1).render(*shape[::-1])


main(globals()[sys.argv[2]])
