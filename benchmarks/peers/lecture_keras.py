# /// script
# requires-python = ">=3.11"
# dependencies = ["keras>=3.10,<4", "jax>=0.10.2,<0.13", "numpy"]
# ///
"""The lecture's training as `keras.Model.fit` on JAX.

An epoch takes the first whole batches of a new order of fixed rows, as Keras has no other way to
leave some out.
"""

import json
import os
import sys
import time

began = time.perf_counter()
os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

imported = time.perf_counter() - began
work = np.load(sys.argv[1])
x = work["x"]
y = work["y"]
n_epochs = int(work["n_epochs"])
size = int(work["batch_size"])
whole = len(x) // size * size


def layer(n, activation):
    "A dense layer as the lecture draws it."
    normal = keras.initializers.RandomNormal(stddev=0.1)
    return keras.layers.Dense(n, activation, kernel_initializer=normal)


layers = [layer(64, "relu") for _ in range(6)] + [layer(3, None)]
net = keras.Sequential([keras.Input((2,)), *layers])


def error(truth, prediction):
    "The mean over places of the absolute errors of all channels."
    return keras.ops.mean(keras.ops.sum(keras.ops.abs(prediction - truth), -1))


net.compile(keras.optimizers.Adam(1e-3), error)


class Cost(keras.callbacks.Callback):
    "Measures the error of all places after every epoch."

    def on_epoch_end(self, epoch, logs=None):
        self.last = self.model.evaluate(x, y, batch_size=len(x), verbose=0)


cost = Cost()
first = time.perf_counter()
net.fit(x[: 2 * size], y[: 2 * size], batch_size=size, epochs=1, verbose=0, callbacks=[cost])
compiled = time.perf_counter() - first
first = time.perf_counter()
net.fit(
    x[:whole],
    y[:whole],
    batch_size=size,
    epochs=n_epochs,
    shuffle=True,
    verbose=0,
    callbacks=[cost],
)
trained = time.perf_counter() - first
print(
    json.dumps(
        dict(
            imports=imported,
            compiling=compiled,
            training=trained,
            steps=n_epochs * (len(x) // size),
            cost=float(cost.last),
            version=f"keras {keras.__version__}",
        )
    )
)
