# /// script
# requires-python = ">=3.11"
# dependencies = ["torch==2.13.0", "numpy"]
# ///
"""The lecture's training in PyTorch, a step at a time.

Arguments are the work, the number of threads, and `compile` to go through `torch.compile`.
"""

import json
import sys
import time

began = time.perf_counter()
import numpy as np
import torch
from torch import nn

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x = torch.tensor(work["x"])
y = torch.tensor(work["y"])
n_epochs = int(work["n_epochs"])
size = int(work["batch_size"])
torch.set_num_threads(int(sys.argv[2]))

sizes = [2, *[64] * 6, 3]
layers = []
for n_in, n_out in zip(sizes, sizes[1:]):
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, std=0.1)
    nn.init.zeros_(layer.bias)
    layers += [layer, nn.ReLU()]
net = nn.Sequential(*layers[:-1])  # nothing bends after the last layer
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)


def error(a, b):
    "The mean over places of the absolute errors of all channels."
    return (net(a) - b).abs().sum(1).mean()


def step(a, b):
    "A step on one batch."
    optimizer.zero_grad()
    error(a, b).backward()
    optimizer.step()


if sys.argv[3:] == ["compile"]:
    error = torch.compile(error)
first = time.perf_counter()
for _ in range(3):
    step(x[:size], y[:size])
with torch.no_grad():
    error(x, y)
compiled = time.perf_counter() - first
first = time.perf_counter()
for _ in range(n_epochs):
    order = torch.randperm(len(x))
    for i in range(len(x) // size):
        rows = order[i * size : (i + 1) * size]
        step(x[rows], y[rows])
    with torch.no_grad():
        last = error(x, y)
trained = time.perf_counter() - first
print(
    json.dumps(
        dict(
            imports=imported,
            compiling=compiled,
            training=trained,
            steps=n_epochs * (len(x) // size),
            cost=float(last),
            version=f"torch {torch.__version__}",
        )
    )
)
