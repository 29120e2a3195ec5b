"What any program with these libraries waits for."
import json
import jax, optax # noqa: F401
from flax import nnx # noqa: F401
print(json.dumps({}))
