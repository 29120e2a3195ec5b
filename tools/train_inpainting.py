"""Train the network of `inpaint` from pictures that come with scikit-image, and write cadl_flax/inpainting.safetensors.

    python tools/train_inpainting.py                  about 40 minutes on 2 cores
    python tools/train_inpainting.py --rounds 4 --out FILE    a shorter training, another file

Crops are drawn anew for every round, so none is seen more than twice. Worker processes draw the next ones while the network learns. The crops,
their order and the first weights follow from the seed; on another processor the weights differ in their last digits, and the quality does not.
Pictures that the tests and page 12 measure on are not among these: astronaut, camera, coins, and pictures of other packages.
"""
import argparse, functools, multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib, numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from skimage.transform import resize

from cadl_flax.inpainting import _lesson

SIDE, CROPS, BATCH, ROUNDS = 80, 2000, 16, 32
PICTURES = dict(coffee=4, chelsea=3, stereo_motorcycle=5, rocket=2, immunohistochemistry=2, hubble_deep_field=1, retina=1, brick=1, grass=1,
                gravel=1, moon=1, clock=1, page=.5, text=.5, cell=.3) # and how often each is drawn
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789    ,.;:!?()&%"))
FONTS = [None, *(f"{name}.ttf" for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "DejaVuSerif-Italic", "STIXGeneral", "cmr10"))]


def dots(rng): return rng.random((SIDE, SIDE)) < rng.uniform(.2, .93)


def text(rng):
    size, font = int(np.exp(rng.uniform(np.log(8), np.log(44)))), FONTS[rng.integers(len(FONTS))]
    font = ImageFont.load_default(size) if font is None else ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf", font), size)
    sheet = Image.new("L", (2*SIDE, 2*SIDE))
    draw, y, gap = ImageDraw.Draw(sheet), -rng.integers(size), rng.uniform(1, 1.8)
    while y < 2*SIDE:
        draw.text((-rng.integers(2*size), int(y)), "".join(rng.choice(LETTERS, 2 + 8*SIDE//size)), fill=255, font=font)
        y += size*gap
    if rng.random() < .5: sheet = sheet.rotate(rng.uniform(-30, 30))
    return np.asarray(sheet)[SIDE//2:][:SIDE, SIDE//2:][:, :SIDE] > 127


def scratches(rng):
    sheet = Image.new("L", (SIDE, SIDE))
    for _ in range(rng.integers(2, 12)):
        a, b, c, d = rng.uniform(-.3*SIDE, 1.3*SIDE, (4, 2))
        if rng.random() < .4: b, c = a + (d - a)/3 + rng.normal(0, 2, 2), a + (d - a)*2/3 + rng.normal(0, 2, 2)
        t = np.linspace(0, 1, 40)[:, None]
        curve = (1 - t)**3*a + 3*t*(1 - t)**2*b + 3*t**2*(1 - t)*c + t**3*d
        ImageDraw.Draw(sheet).line([tuple(p) for p in curve], fill=255, width=int(rng.integers(1, 6)))
    return np.asarray(sheet) > 0


def blocks(rng):
    mask, (rows, columns) = np.zeros((SIDE, SIDE), bool), np.mgrid[:SIDE, :SIDE]
    for _ in range(rng.integers(3, 30)):
        (h, w), (i, j) = rng.integers(2, 14, 2), rng.integers(-8, SIDE, 2)
        mask |= (rows - i)**2 + (columns - j)**2 < (h/2)**2 if rng.random() < .3 else (rows >= i) & (rows < i + h) & (columns >= j) & (columns < j + w)
    return mask


def draw_mask(rng):
    families, odds = (dots, text, scratches, blocks), (.46, .22, .17, .15)
    while True:
        mask = families[rng.choice(4, p=odds)](rng)
        if rng.random() < .1: mask = mask | families[rng.choice(4, p=odds)](rng)
        if .02 < mask.mean() < .94: return mask


@functools.cache
def picture(name):
    found = getattr(data, name)()
    return (found[0] if isinstance(found, tuple) else found)/255


def draw_crop(rng):
    names, odds = list(PICTURES), np.array(list(PICTURES.values()))
    while True:
        whole, scale = picture(names[rng.choice(len(names), p=odds/odds.sum())]), np.exp(rng.uniform(np.log(.3), 0)) if rng.random() < .7 else 1
        side = int(np.ceil(SIDE/scale))
        if side > min(whole.shape[:2]): continue
        i, j = (rng.integers(n - side + 1) for n in whole.shape[:2])
        crop = resize(whole[i:i + side, j:j + side], (SIDE, SIDE), anti_aliasing=scale < 1)
        crop = np.atleast_3d(crop)[..., :3]
        crop = np.rot90(crop[::rng.choice((-1, 1))], rng.integers(4))
        gray = crop.mean(-1)
        if sum(np.abs(np.diff(gray, axis=axis)).mean() for axis in (0, 1)) >= .01 or rng.random() < .2: return np.round(crop*255)/255


def lessons(seed):
    "An eighth of the crops of a round, as input `(n, SIDE, SIDE, 5)` and truth `(n, SIDE, SIDE)`."
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(CROPS//8):
        crop, mask = draw_crop(rng), draw_mask(rng)
        drawn.append(_lesson(crop, mask, rng.integers(crop.shape[-1])))
    return [np.stack(part) for part in zip(*drawn)]


def main():
    import jax, optax
    from flax import nnx
    from cadl_flax.inpainting import _Corrector, _Repair
    from cadl_flax.regression import mae
    from cadl_flax.tracking import save
    from cadl_flax.training import TrainState, train_step

    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=Path, default=Path(__file__).parents[1]/"cadl_flax/inpainting.safetensors", help="where to write the weights")
    args.add_argument("--rounds", type=int, default=ROUNDS, help=f"of {CROPS} crops, each seen twice")
    args.add_argument("--seed", type=int, default=0)
    args = args.parse_args()
    steps, began = args.rounds*2*CROPS//BATCH, time.time()
    optimizer = optax.chain(optax.clip_by_global_norm(1.), optax.adam(optax.warmup_cosine_decay_schedule(0, 3e-3, 100, steps, 3e-5), b2=.99))
    model = jax.jit(lambda: _Repair(_Corrector(rngs=nnx.Rngs(args.seed))))()
    state, rng = TrainState(model, optimizer.init(model)), np.random.default_rng(args.seed)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        def draw(round): return [pool.submit(lessons, [args.seed, round, part]) for part in range(8)]
        crops = draw(0)
        for round in range(args.rounds):
            x, y = (np.concatenate(part) for part in zip(*(c.result() for c in crops)))
            if round + 1 < args.rounds: crops = draw(round + 1)
            losses = []
            for rows in (rows for _ in range(2) for rows in np.split(rng.permutation(CROPS), CROPS//BATCH)):
                state, loss = train_step(state, x[rows], y[rows], mae, optimizer) # not fit: inside a compiled loop, convolutions are many times slower on a CPU
                losses.append(loss)
            missing, start = 1 - x[..., 1].mean(), np.abs(x[..., 2] - y).mean()
            print(f"round {round + 1} of {args.rounds}: error at missing pixels {np.mean(losses[len(losses)//2:])/missing:.4f}, of the fill {start/missing:.4f}, {time.time() - began:.0f} s", flush=True)
    save(state.model.network, args.out, settings=dict(pictures=list(PICTURES), steps=steps, batch_size=BATCH, seed=args.seed))


if __name__ == "__main__": main()
