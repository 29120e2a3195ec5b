"""As `families`, by this library. The argument is a folder of photographs."""

import numpy as np
from families import main

from cadl_flax import inpaint

# the first call compiles
inpaint(np.zeros((256, 256, 3), np.uint8), np.eye(256, dtype=bool))
main(inpaint)
