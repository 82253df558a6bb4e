"""Networks' outputs and gradients on JAX.

``python -m tests.reference.other_backend FOLDER``, with JAX as Keras's backend: for each network
``NAME.keras`` and its inputs ``NAME.npy``, writes ``NAME.npz`` of its outputs and of the gradient
of their sum.
"""

import sys
from pathlib import Path

import jax
import keras
import numpy as np

from camid.comparison.networks.files import read_network
from camid.io.folder import Folder


def answers(network: keras.Model, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return a network's outputs, and the gradient of their sum by each of its weights."""
    fixed = [variable.value for variable in network.non_trainable_variables]

    def total(weights):
        outputs, _ = network.stateless_call(weights, fixed, inputs, training=False)
        return outputs.sum(), outputs

    weights = [variable.value for variable in network.trainable_variables]
    gradients, outputs = jax.jit(jax.grad(total, has_aux=True))(weights)
    arrays = {f"gradient{number:03d}": np.asarray(g) for number, g in enumerate(gradients)}
    return {"outputs": np.asarray(outputs), **arrays}


def main(folder: Path) -> None:
    """Compute what the folder's networks give."""
    assert keras.backend.backend() == "jax"
    for path in sorted(folder.glob("*.keras")):
        network = read_network(Folder(str(folder)), path.name)
        np.savez(path.with_suffix(".npz"), **answers(network, np.load(path.with_suffix(".npy"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
