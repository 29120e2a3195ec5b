"""A picture of SIDE by SIDE pixels on the disk, in FOLDER: learned from for a few epochs, beside one of a megapixel in memory, and painted into a tiled file.
Seconds a step, with reading; and the most anonymous memory, KiB, that the process had, which Linux tells."""
import json, os, sys, threading, time
from pathlib import Path

import jax, numpy as np, tifffile
from flax import nnx
from cadl_flax.encodings import HashGrid
from cadl_flax.painting import mlp_behind
from cadl_flax.pictures import pixels, psnr
from cadl_flax.scaling import save_tiff, windows
from cadl_flax.training import fit

side, folder = int(sys.argv[1]), Path(sys.argv[2])
peak, done = [0], threading.Event()
def watch():
    while not done.wait(.02): peak[0] = max(peak[0], next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")))

def scene(side, rows):
    "Rings and stripes."
    r, c = np.meshgrid(np.float32(rows)/side*2 - 1, np.linspace(-1, 1, side, dtype=np.float32), indexing="ij")
    rings = .5 + .5*np.sin(40*(r**2 + c**2))
    return np.uint8(255*np.stack([rings, .5 + .5*np.sin(30*r), .5 + .5*np.sin(25*c)*rings], axis=-1))

image = tifffile.memmap(folder/"large.tif", shape=(side, side, 3), dtype=np.uint8, photometric="rgb")
for top in range(0, side, 128): image[top:top+128] = scene(side, np.arange(top, min(top + 128, side)))
image.flush()
del image
with open(folder/"large.tif", "rb") as file: # none of it is left in memory
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
image = tifffile.memmap(folder/"large.tif", mode="r")
threading.Thread(target=watch, daemon=True).start()

start = mlp_behind(HashGrid, n_levels=3, coarsest=32, finest=512, n_features=2, table_size=2**16, order=1, width=32, depth=1)(2, 3, rngs=nnx.Rngs(0))
settings = dict(key=jax.random.key(0), batch_size=1024, learning_rate=5e-3)
in_memory = [jax.numpy.asarray(v) for v in pixels(scene(1024, np.arange(1024)))]
epochs = windows(image, key=settings["key"])
runs = dict(large=fit(start, *next(epochs), n_epochs=1, **settings), small=fit(start, *in_memory, n_epochs=1, **settings)) # compiled
times = dict(large=[], small=[])
for _ in range(5): # in turn
    for name, data in (("large", lambda: next(epochs)), ("small", lambda: in_memory)):
        jax.block_until_ready(runs[name])
        began, steps = time.perf_counter(), 0
        for _ in range(4): # the next windows are read while the steps on these are taken
            runs[name] = fit(runs[name], *data(), n_epochs=1)
            steps += runs[name].losses.size
        jax.block_until_ready(runs[name])
        times[name].append((time.perf_counter() - began)/steps)
trained = peak[0]
began = time.perf_counter()
save_tiff(runs["large"].model, folder/"painted.tif", side, side)
took = time.perf_counter() - began
done.set()
painted = tifffile.TiffFile(folder/"painted.tif").pages[0]
segments = list(dict.fromkeys([0, len(painted.dataoffsets)//2, len(painted.dataoffsets) - 1])) # three of its tiles are read back
def tile(i):
    with open(folder/"painted.tif", "rb") as file:
        file.seek(painted.dataoffsets[i])
        values, at, shape = painted.decode(file.read(painted.databytecounts[i]), i)
    return values[0][:shape[1], :shape[2]], at[2], at[3]
def score(i):
    values, top, left = tile(i)
    return psnr(np.ascontiguousarray(values), np.asarray(image[top:top+values.shape[0], left:left+values.shape[1]]))
print(json.dumps(dict(pixels=side**2, step=sorted(times["large"])[2], step_in_memory=sorted(times["small"])[2], trained_kib=trained, peak_kib=peak[0], rendering=took,
                      psnr=min(map(score, segments)), steps=runs["large"].epoch*runs["large"].losses.size, bytes=(folder/"painted.tif").stat().st_size)))
