"""Seconds a step, or seconds until every process has the sum of what all have.

    scaling.py step WIDTH BATCH PROCESSES
    scaling.py sum NUMBERS PIECES PROCESSES

Every process computes with one thread; they meet on this machine. Compiled before.
"""

import json
import os
import socket
import subprocess
import sys
import time

what = sys.argv[1]
size, batch, processes = map(int, sys.argv[2:5])
if len(sys.argv) > 5:  # started by the first process
    process, port = map(int, sys.argv[5:])
else:
    process = 0
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    for i in range(1, processes):
        command = [sys.executable, *sys.argv, str(i), str(port)]
        subprocess.Popen(command, stdout=subprocess.DEVNULL)
# the number of threads that XLA starts; tied to one core, more would keep each other waiting
os.environ["NPROC"] = "1"

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
mesh = Mesh(jax.devices(), ("batch",))
copied = NamedSharding(mesh, P())
split = NamedSharding(mesh, P("batch"))
n_steps = 40
constrain = jax.lax.with_sharding_constraint
if what == "step":
    from cadl_flax.networks import MLP, count_parameters
    from cadl_flax.training import fit

    n_rows = 2**19
    x, y = (
        jax.device_put(np.random.default_rng(0).random((n_rows, n), dtype=np.float32), copied)
        for n in (2, 3)
    )
    network = MLP(2, 3, width=size, depth=4, rngs=nnx.Rngs(0))
    parameters = count_parameters(network)
    settings = dict(batch_size=batch, n_batches=min(n_steps, n_rows // batch))
    # the first call also compares what all processes have, once
    run = fit(network, x, y, key=jax.random.key(0), n_epochs=1, **settings)

    def timed():
        "One epoch more."
        global run
        run = fit(run, x, y, n_epochs=1)
        return run.losses
else:
    parameters = size

    @jax.jit
    def add_up(tables):
        "Add up tables over their first axis, which lies on the processes, again and again."

        def step(totals, i):
            # each sum waits for the one before
            parts = [
                constrain(table + total[:1] * 0 + i, split) for table, total in zip(tables, totals)
            ]
            return constrain([part.sum(0) for part in parts], copied), totals[0][0]

        first = constrain([table[0] for table in tables], copied)
        return jax.lax.scan(step, first, jax.numpy.arange(float(n_steps)))

    def make_tables():
        "As many tables as there are pieces; each process has a row of each."
        return [jax.numpy.ones((processes, size // batch))] * batch

    tables = jax.jit(make_tables, out_shardings=split)()

    def timed():
        "As many sums as steps."
        return add_up(tables)[1]


times = []
for _ in range(6):  # the first compiles
    began = time.perf_counter()
    n = np.asarray(timed()).size
    times.append((time.perf_counter() - began) / n)
if process == 0:
    print(
        json.dumps(
            dict(
                step=sorted(times[1:])[2],
                fastest=min(times[1:]),
                parameters=parameters,
                batch=batch,
                processes=processes,
            )
        )
    )
if processes > 1:
    jax.distributed.shutdown()
