"""Uses TensorFlow as the package does, in a process of its own: `python -m` this module.

It prints one line of JSON on standard output. A crash of TensorFlow, or a Python that is stopped by
the operating system, ends only this process.
"""

import ctypes
import importlib.util
import json
from pathlib import Path
from typing import Any

__all__ = ["CUDA_LIBRARIES", "main"]

DRIVER = "libcuda.so.1"
# What TensorFlow loads on a GPU, each after those that it needs.
CUDA_LIBRARIES = (
    "libcudart.so.12",
    "libcublasLt.so.12",
    "libcublas.so.12",
    "libcufft.so.11",
    "libnvJitLink.so.12",
    "libcusparse.so.12",
    "libcusolver.so.11",
    "libcudnn.so.9",
)


def main() -> None:
    """Prints what TensorFlow computes, its devices, and what CUDA's libraries say."""
    print(json.dumps({**_compute(), "driver": _driver(), "cuda": _load_libraries()}))


def _compute() -> dict[str, Any]:
    """Takes one step with each part that may be missing: layers, optimiser, density, session."""
    from moe_vae.compat import tf, tfd
    from moe_vae.nn.sessions import open_session

    outputs = tf.layers.dense(tf.ones([1, 2]), 3)
    loss = -tf.reduce_mean(tfd.Normal(0.0, 1.0).log_prob(outputs))
    step = tf.train.AdamOptimizer().minimize(loss)
    with open_session() as session:
        session.run(tf.global_variables_initializer())
        session.run(step)
    devices = tf.config.list_physical_devices()
    return {
        "devices": [device.device_type for device in devices],
        "gpus": [
            tf.config.experimental.get_device_details(device).get("device_name", device.name)
            for device in devices
            if device.device_type == "GPU"
        ],
    }


def _driver() -> str:
    """Returns what NVIDIA's driver says: "missing", "works", or its error."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return "missing"
    code = driver.cuInit(0)
    return f"error {code}" if code else "works"


def _load_libraries() -> dict[str, str]:
    """Returns each of CUDA's libraries with "" or the reason why it does not load."""
    reasons = {}
    for name in CUDA_LIBRARIES:
        try:
            ctypes.CDLL(_in_packages(name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            reasons[name] = str(error)
        else:
            reasons[name] = ""
    return reasons


def _in_packages(name: str) -> str:
    """Returns the library's path in NVIDIA's pip packages, or its bare name for the system's."""
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in Path(folder).glob(f"*/lib/{name}"):
            return str(path)
    return name


if __name__ == "__main__":
    main()
