"""Seconds a step, or seconds until every process has the sum of what all have: `scaling.py step WIDTH BATCH PROCESSES` or `scaling.py sum NUMBERS PIECES PROCESSES`.
Every process computes with one thread; they meet on this machine. Compiled before."""
import json, os, socket, subprocess, sys, time

what, size, batch, processes, *me = sys.argv[1:]
size, batch, processes = int(size), int(batch), int(processes)
process, port = map(int, me) if me else (0, 0)
if not me:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    others = [subprocess.Popen([sys.executable, *sys.argv, str(i), str(port)], stdout=subprocess.DEVNULL) for i in range(1, processes)]
os.environ["NPROC"] = "1" # as many threads as XLA starts; tied to one core, they would keep each other waiting

import jax, numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
if processes > 1: jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
mesh = Mesh(jax.devices(), ("batch",))
copy = NamedSharding(mesh, P())
n_steps = 40
if what == "step":
    from cadl_flax.networks import MLP, count_parameters
    from cadl_flax.training import fit
    x, y = (jax.device_put(np.random.default_rng(0).random((2**19, n), dtype=np.float32), copy) for n in (2, 3))
    network = MLP(2, 3, width=size, depth=4, rngs=nnx.Rngs(0))
    parameters = count_parameters(network)
    run = fit(network, x, y, key=jax.random.key(0), batch_size=batch, n_batches=min(n_steps, 2**19//batch), n_epochs=1) # what all have is compared, once
    def timed():
        global run
        run = fit(run, x, y, n_epochs=1)
        return run.losses
else:
    parameters = size
    @jax.jit
    def sums(tables):
        def step(totals, i):
            parts = [jax.lax.with_sharding_constraint(t + total[:1]*0 + i, NamedSharding(mesh, P("batch"))) for t, total in zip(tables, totals)]
            return jax.lax.with_sharding_constraint([part.sum(0) for part in parts], copy), totals[0][0]
        return jax.lax.scan(step, jax.lax.with_sharding_constraint([t[0] for t in tables], copy), jax.numpy.arange(float(n_steps)))
    tables = jax.jit(lambda: [jax.numpy.ones((processes, size//batch))]*batch, out_shardings=NamedSharding(mesh, P("batch")))()
    def timed(): return sums(tables)[1]
times = []
for _ in range(6): # the first compiles
    began = time.perf_counter()
    n = np.asarray(timed()).size
    times.append((time.perf_counter() - began)/n)
if process == 0: print(json.dumps(dict(step=sorted(times[1:])[2], fastest=min(times[1:]), parameters=parameters, batch=batch, processes=processes)))
if processes > 1: jax.distributed.shutdown()
