# /// script
# requires-python = ">=3.11"
# dependencies = ["torch==2.13.0", "numpy"]
# ///
"""A picture learned by grids of several resolutions, and a small network behind them.

The grids are looked up with `F.grid_sample`. It is the strongest peer on a processor. Arguments are
the work, the number of threads, the batch size, and `compiled` or `with our levels`, if any.
"""

import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

work = np.load(sys.argv[1])
x = torch.tensor(work["x"])
y = torch.tensor(work["y"])
seconds = float(work["seconds"])
scale = float(work["scale"])
torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)

how = sys.argv[4] if len(sys.argv) > 4 else ""
if how == "with our levels":
    levels = (128, 257)
    features, width = 3, 32
    hidden = []
else:
    levels = [max(2, round(n * scale)) for n in (16, 32, 64, 128, 200)]
    features, width = 4, 64
    hidden = [nn.Linear(width, width), nn.ReLU()]
tables = [torch.empty(1, features, n, n).uniform_(-1e-4, 1e-4) for n in levels]
grids = nn.ParameterList([nn.Parameter(table) for table in tables])
first_layer = nn.Linear(features * len(levels), width)
net = nn.Sequential(first_layer, nn.ReLU(), *hidden, nn.Linear(width, 3))
parameters = [*grids, *net.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-2, fused=True)


def look_up(grid, places):
    "The features of a grid at some places, `(n, features)`."
    found = F.grid_sample(grid, places, align_corners=True, padding_mode="border")
    return found[0, :, :, 0].T


def paint(x):
    "The colours at the places `x`."
    places = x.flip(-1)[None, :, None]  # grid_sample wants columns first
    return net(torch.cat([look_up(grid, places) for grid in grids], 1))


if how == "compiled":
    paint = torch.compile(paint)


def error():
    "The mean squared error in eight bits, of a range of 1."
    with torch.no_grad():
        seen = (paint(x).clamp(0, 1) * 255).round()
    return ((seen - (y * 255).round()) ** 2).mean().item() / 255**2


def spent():
    "The share of the given time that is over."
    return (time.perf_counter() - began) / seconds


def learning_rate():
    "The rate at this time: a cosine from 1e-2 to a fiftieth."
    return 1e-2 * (0.51 + 0.49 * math.cos(math.pi * min(1, spent())))


size = int(sys.argv[3])
epochs = 0
first = time.perf_counter()
F.mse_loss(paint(x[:size]), y[:size]).backward()  # compiles, and changes nothing
compiled = time.perf_counter() - first
began = time.perf_counter()
while spent() < 1:
    order = torch.randperm(len(x))
    for i in range(0, len(x) - size + 1, size):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate()
        rows = order[i : i + size]
        optimizer.zero_grad()
        F.mse_loss(paint(x[rows]), y[rows]).backward()
        optimizer.step()
        if spent() > 1:
            break
    epochs += 1
print(
    json.dumps(
        dict(
            seconds=time.perf_counter() - began,
            compiling=compiled,
            error=error(),
            parameters=sum(p.numel() for p in parameters),
            epochs=epochs,
            version=f"torch {torch.__version__}",
        )
    )
)
