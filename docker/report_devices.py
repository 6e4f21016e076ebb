"""Says in one line, on standard error, which devices TensorFlow sees.

Where a GPU is expected (MOE_VAE_EXPECT_GPU=1, as in the gpu image) and none is seen, the line says
why that may be and how to go on without.
"""

import ctypes
import os
import sys

GO_ON = (
    "Going on with the CPU; the image moe_vae:cpu is the smaller one for that, and "
    "MOE_VAE_EXPECT_GPU=0 ends this note."
)


def why_no_gpu(environ, load=ctypes.CDLL):
    """Asks the NVIDIA driver itself what is in the way."""
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
        return hidden + "which may hide them all"
    if code:
        return (
            f"the NVIDIA driver answers with error {code}: `nvidia-smi` on the host should list a "
            "GPU, and a driver of version 525 or newer, which CUDA 12 needs"
        )
    return (
        "the driver works, but TensorFlow cannot use its GPUs: see what it says with "
        "TF_CPP_MIN_LOG_LEVEL=0"
    )


def describe(gpus, n_cores, expected, reason):
    """The line. `gpus`: their names; `reason`: called only if a GPU is missing."""
    cpu = f"CPU ({n_cores} {'core' if n_cores == 1 else 'cores'})"
    if gpus:
        return f"Devices: {', '.join(f'GPU {name}' for name in gpus)}, {cpu}."
    if not expected:
        return f"Devices: {cpu}."
    return f"Devices: {cpu}; a GPU was expected, but {reason()}. {GO_ON}"


def gpu_names():
    """The GPUs that TensorFlow sees, as the driver calls them."""
    from moe_vae.compat import tf  # takes seconds, so only here

    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [
        detail.get("device_name", device.name)
        for detail, device in zip(details, devices, strict=True)
    ]


def main():
    expected = os.environ.get("MOE_VAE_EXPECT_GPU") == "1"
    n_cores = len(os.sched_getaffinity(0))
    print(describe(gpu_names(), n_cores, expected, lambda: why_no_gpu(os.environ)), file=sys.stderr)


if __name__ == "__main__":
    main()
