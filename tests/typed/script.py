# pyright: strict
"What people write with the stable names. Type checkers and editors read it, and it runs."

from pathlib import Path
from typing import reveal_type

import cadl_flax
import jax
import numpy as np
from cadl_flax import Painting, Run, fit, inpaint, paint
from cadl_flax.checkpoints import keep
from cadl_flax.networks import MLP
from cadl_flax.painting import paint_chunks
from cadl_flax.pictures import psnr, read_image, shrink
from cadl_flax.tracking import load, save
from flax import nnx
from jax import Array
from numpy.typing import NDArray

SIZE = 8  # pixels: as small as it may be


def restore(path: Path) -> float:
    "Fill a hole in a small copy of a picture: how near the fill is."
    picture = shrink(read_image(path), SIZE)
    mask = np.zeros(picture.shape[:2], dtype=bool)
    mask[2:4, 2:4] = True
    filled = inpaint(picture, mask, channel_axis=-1, alpha=False, nodata=None, progress=False)
    reveal_type(filled)
    return psnr(filled, picture)


def paint_twice(path: Path, out: Path) -> Painting:
    "Paint a picture, go on, and save the painting."
    picture = shrink(read_image(path), SIZE)
    painting = paint(picture, network="mlp", n_epochs=2, batch_size=32, n_frames=2)
    painting = paint(painting, n_epochs=1, learning_rate=1e-3, progress=False)
    reveal_type(painting)
    painting.save(out)
    part: NDArray[np.float32] = painting.render(12, 12, window=(-0.5, -0.5, 0.5, 0.5))
    print(part.shape, painting.psnr, painting.losses[-1], painting.frames[-1].shape)
    return painting


def paint_slowly(path: Path, folder: Path) -> None:
    "Paint a picture epoch by epoch, and keep what was painted."
    picture = shrink(read_image(path), SIZE)
    for painting in keep(paint_chunks(picture, network="mlp", n_epochs=2, batch_size=32), folder):
        print(painting.psnr)


def squared(predictions: Array, targets: Array) -> Array:
    "The mean squared error."
    return ((predictions - targets) ** 2).mean()


def fit_wave() -> Run:
    "Train a network on a sine, and go on with another loss."
    x = np.linspace(0, 1, 64)[:, None]
    model = MLP(1, 1, width=8, rngs=nnx.Rngs(0))
    run = fit(model, x, np.sin(x), key=jax.random.key(0), loss=squared, n_epochs=2)
    run = fit(run, x, np.sin(x), loss=cadl_flax.regression.mse, n_epochs=1)
    reveal_type(run)
    print(run.losses.shape, run.model(x).shape)
    return run


def main(folder: Path) -> None:
    "Use all stable names on a picture in a folder."
    picture = folder / "picture.png"
    print(restore(picture))
    painting = paint_twice(picture, folder / "painting.png")
    paint_slowly(picture, folder / "slowly")
    file = folder / "painting.safetensors"
    save(painting, file, settings={"size": SIZE, "version": cadl_flax.__version__})
    reveal_type(load(file))
    run = fit_wave()
    save(run, file)
    reveal_type(load(file, run))


if __name__ == "__main__":
    main(Path())
