# What `import cadl_flax` offers: `lazy_loader` reads this list, type checkers and editors too.
from . import (
    descent as descent,
    encodings as encodings,
    features as features,
    gallery as gallery,
    inpainting as inpainting,
    layers as layers,
    networks as networks,
    painting as painting,
    pictures as pictures,
    regression as regression,
    scaling as scaling,
    splits as splits,
    tracking as tracking,
    training as training,
)
from .inpainting import inpaint as inpaint
from .painting import Painting as Painting, paint as paint
from .training import Run as Run, fit as fit

__version__: str
