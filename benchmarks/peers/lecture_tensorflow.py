# /// script
# requires-python = ">=3.11"
# dependencies = ["tensorflow-cpu==2.19.0", "numpy<2.2"]
# ///
"""The lecture's own program: TensorFlow 1 through `tensorflow.compat.v1`.

It has a session, and a dictionary of arrays for every step. Arguments are the work, the number of
threads, and a cost at which to stop, if any.
"""

import json
import os
import sys
import time

began = time.perf_counter()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x = work["x"]
y = work["y"]
n_epochs = int(work["n_epochs"])
size = int(work["batch_size"])
threads = int(sys.argv[2])
goal = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0

X, Y = tf.placeholder(tf.float32, (None, 2)), tf.placeholder(tf.float32, (None, 3))
h = X
for i, n in enumerate([64] * 6 + [3]):
    normal = tf.random_normal_initializer(stddev=0.1)
    W = tf.get_variable(f"W{i}", (h.shape[1], n), tf.float32, normal)
    b = tf.get_variable(f"b{i}", (n,), tf.float32, tf.constant_initializer(0.0))
    h = tf.matmul(h, W) + b
    if i < 6:
        h = tf.nn.relu(h)
cost = tf.reduce_mean(tf.reduce_sum(tf.abs(h - Y), 1))
step = tf.train.AdamOptimizer(0.001).minimize(cost)

config = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
with tf.Session(config=config) as session:
    session.run(tf.global_variables_initializer())
    first = time.perf_counter()
    session.run(step, {X: x[:size], Y: y[:size]})
    compiled = time.perf_counter() - first
    first = time.perf_counter()
    for epoch in range(n_epochs):
        order = np.random.permutation(len(x))
        for i in range(len(x) // size):
            rows = order[i * size : (i + 1) * size]
            session.run(step, {X: x[rows], Y: y[rows]})
        last = session.run(cost, {X: x, Y: y})
        if last <= goal:
            break
    trained = time.perf_counter() - first
print(
    json.dumps(
        dict(
            imports=imported,
            compiling=compiled,
            training=trained,
            epochs=epoch + 1,
            steps=(epoch + 1) * (len(x) // size),
            cost=float(last),
            version=f"tensorflow {tf.__version__}",
        )
    )
)
