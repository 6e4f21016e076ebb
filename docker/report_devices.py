"""Prints one line on standard error with the devices that TensorFlow can use.

If a GPU is expected (MOE_VAE_EXPECT_GPU=1, as in the gpu image) and none is found, the line gives a
likely reason and tells how to continue without a GPU.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ON_THE_CPU = (
    "Using the CPU, for which the image moe_vae:cpu is smaller; MOE_VAE_EXPECT_GPU=0 ends this "
    "notice."
)


def why_no_gpu(environ: Mapping[str, str], load: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Returns a likely reason, found by asking the NVIDIA driver."""
    try:
        driver = load("libcuda.so.1")
    except OSError:
        return (
            "no NVIDIA driver reaches the container: start it with `--gpus all` (compose's gpu "
            "profile does), on a host with the driver and the NVIDIA Container Toolkit"
        )
    code = driver.cuInit(0)
    if "CUDA_VISIBLE_DEVICES" in environ:
        hidden = f"CUDA_VISIBLE_DEVICES is {environ['CUDA_VISIBLE_DEVICES']!r}, "
        return hidden + "which may hide every GPU"
    if code:
        return (
            f"the NVIDIA driver returns error {code}: check that `nvidia-smi` on the host lists a "
            "GPU and a driver of version 525 or newer, which CUDA 12 needs"
        )
    return "the driver works, but TensorFlow cannot use its GPUs: TF_CPP_MIN_LOG_LEVEL=0 shows why"


def describe(gpus: Sequence[str], n_cores: int, expected: bool, reason: Callable[[], str]) -> str:
    """Returns the line.

    Args:
      gpus: the GPUs' names.
      n_cores: number of processor cores.
      expected: whether a GPU is expected.
      reason: returns why there is none; called only in that case.
    """
    cpu = f"CPU ({n_cores} {'core' if n_cores == 1 else 'cores'})"
    if gpus:
        return f"Devices: {', '.join(f'GPU {name}' for name in gpus)}, {cpu}."
    if not expected:
        return f"Devices: {cpu}."
    return f"Devices: {cpu}; a GPU was expected, but {reason()}. {ON_THE_CPU}"


def gpu_names() -> list[str]:
    """Returns the driver's names of the GPUs that TensorFlow can use."""
    from moe_vae.compat import tf

    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [
        detail.get("device_name", device.name)
        for detail, device in zip(details, devices, strict=True)
    ]


def main() -> None:
    """Prints the line."""
    expected = os.environ.get("MOE_VAE_EXPECT_GPU") == "1"
    n_cores = len(os.sched_getaffinity(0))
    print(describe(gpu_names(), n_cores, expected, lambda: why_no_gpu(os.environ)), file=sys.stderr)


if __name__ == "__main__":
    main()
