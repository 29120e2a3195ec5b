# What `import cadl_flax` offers: `lazy_loader` reads this list, type checkers and editors too.
from . import (
    batches as batches,
    checkpoints as checkpoints,
    checks as checks,
    correcting as correcting,
    descent as descent,
    devices as devices,
    encodings as encodings,
    enlarging as enlarging,
    features as features,
    files as files,
    films as films,
    formats as formats,
    gallery as gallery,
    grids as grids,
    homework as homework,
    inpainting as inpainting,
    layers as layers,
    many_pictures as many_pictures,
    masks as masks,
    meeting as meeting,
    mending as mending,
    networks as networks,
    painting as painting,
    pictures as pictures,
    plotting as plotting,
    presets as presets,
    regression as regression,
    scaling as scaling,
    sgd as sgd,
    shuffling as shuffling,
    splits as splits,
    terminal as terminal,
    tracking as tracking,
    training as training,
)
from .enlarging import enlarge as enlarge
from .inpainting import inpaint as inpaint
from .painting import Painting as Painting, paint as paint
from .training import Run as Run, fit as fit

__version__: str
