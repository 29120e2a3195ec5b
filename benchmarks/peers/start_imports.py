"What any program with these libraries waits for."

import json

import jax  # noqa: F401
import optax  # noqa: F401
from flax import nnx  # noqa: F401

print(json.dumps({}))
