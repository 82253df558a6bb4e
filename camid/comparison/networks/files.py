"""Networks as files of Keras's format; read in its safe mode, which runs no stored code."""

import math
import tempfile
import warnings
import zipfile
from pathlib import Path

import keras

import camid.comparison.networks.layers  # noqa: F401 - known by name when a file is read
from camid.comparison.networks.archive import json_member, opened_archive
from camid.comparison.networks.pairnet import weights_of
from camid.comparison.networks.pairnet_numpy import MEMBER, NETWORK, weights_bytes
from camid.io.folder import Folder

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
"""Members of a file of Keras's format."""


def network_bytes(network: keras.Model) -> bytes:
    """Return a network as one file.

    A pair network's also holds its weights as NumPy arrays, to score without Keras.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        if network.name == NETWORK:
            with zipfile.ZipFile(path, "a") as file:
                file.writestr(zipfile.ZipInfo(MEMBER), weights_bytes(weights_of(network)))
        return path.read_bytes()


def read_network(folder: Folder, name: str) -> keras.Model:
    """Return the network that a file holds, without an optimiser.

    Raises
    ------
    ValueError
        If there is no such file, or it holds no network.
    """
    address = folder.address(name)
    try:
        data = folder.read(name)
    except FileNotFoundError:
        raise ValueError(f"{address}: no such network") from None
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "network.keras"
        path.write_bytes(data)
        try:
            _check_size(data)
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # of weights that the file lacks
                return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            words = " ".join(str(error).replace(str(path), name).split())[:200]
            raise ValueError(f"{address}: not a network, or damaged: {words}") from None


def _check_size(data: bytes) -> None:
    """Raise before memory is taken if a network's layers have more weights than its file."""
    with opened_archive(data) as archive:
        config = json_member(archive, _CONFIG)
        num_stored = archive.getinfo(_WEIGHTS).file_size
    num_needed = math.inf
    try:
        with keras.StatelessScope(initialize_variables=False):  # variables without values
            network = keras.saving.deserialize_keras_object(config, safe_mode=True)
            num_needed = sum(math.prod(weight.shape) for weight in network.variables)
    finally:
        if num_needed > num_stored:  # no scope that ends gives them values
            keras.utils.clear_session(free_memory=False)
    if num_needed > num_stored:
        raise ValueError(f"its layers have {num_needed} weights, its file {num_stored} bytes")
