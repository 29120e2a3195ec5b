# /// script
# requires-python = ">=3.11"
# dependencies = ["torch==2.13.0", "numpy"]
# ///
"A picture learned by grids of several resolutions, looked up with `F.grid_sample`, and a small network behind them: the strongest peer on a processor."
import json, math, sys, time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

work = np.load(sys.argv[1])
x, y, seconds, scale = torch.tensor(work["x"]), torch.tensor(work["y"]), float(work["seconds"]), float(work["scale"])
torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)

how = [*sys.argv[4:], ""][0]
levels, features, width = ((128, 257), 3, 32) if how == "with our levels" else ([max(2, round(n*scale)) for n in (16, 32, 64, 128, 200)], 4, 64)
grids = nn.ParameterList([nn.Parameter(torch.empty(1, features, n, n).uniform_(-1e-4, 1e-4)) for n in levels])
hidden = [] if how == "with our levels" else [nn.Linear(width, width), nn.ReLU()]
net = nn.Sequential(nn.Linear(features*len(levels), width), nn.ReLU(), *hidden, nn.Linear(width, 3))
parameters = [*grids, *net.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-2, fused=True)

def painted(x):
    places = x.flip(-1)[None, :, None] # grid_sample wants columns first
    return net(torch.cat([F.grid_sample(g, places, align_corners=True, padding_mode="border")[0, :, :, 0].T for g in grids], 1))

if how == "compiled": painted = torch.compile(painted)

def error():
    "The mean squared error in eight bits, of a range of 1."
    with torch.no_grad(): seen = (painted(x).clamp(0, 1)*255).round()
    return ((seen - (y*255).round())**2).mean().item()/255**2

size, epochs = int(sys.argv[3]), 0
first = time.perf_counter()
F.mse_loss(painted(x[:size]), y[:size]).backward() # compiles, and changes nothing
compiled = time.perf_counter() - first
began = time.perf_counter()
while (spent := (time.perf_counter() - began)/seconds) < 1:
    order = torch.randperm(len(x))
    for i in range(0, len(x) - size + 1, size):
        for group in optimizer.param_groups: group["lr"] = 1e-2*(.51 + .49*math.cos(math.pi*min(1, (time.perf_counter() - began)/seconds)))
        rows = order[i:i + size]
        optimizer.zero_grad()
        F.mse_loss(painted(x[rows]), y[rows]).backward()
        optimizer.step()
        if time.perf_counter() - began > seconds: break
    epochs += 1
print(json.dumps(dict(seconds=time.perf_counter() - began, compiling=compiled, error=error(), parameters=sum(p.numel() for p in parameters), epochs=epochs, version=f"torch {torch.__version__}")))
