"""Checks of TensorFlow, its devices and CUDA's libraries."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from moe_vae.diagnosis.findings import Finding

__all__ = ["check_tensorflow", "describe_devices"]

GPU_DEVICE = Path("/dev/nvidia0")
TIMEOUT_SECONDS = 300
REINSTALL = (
    f"{sys.executable} -m pip install --force-reinstall tensorflow tf-keras tensorflow-probability "
    "in the ranges above; if a fault stands above, cure that one first"
)


def check_tensorflow() -> list[Finding]:
    """Takes one step of training in another process, and looks at the devices from there."""
    try:
        result = subprocess.run(
            [sys.executable, "-m", "moe_vae.diagnosis.probe"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        fault = f"a step of training is not done after {TIMEOUT_SECONDS} seconds"
        return [_broken(fault, "look for other programs that keep the processor or the disk busy")]
    if result.returncode < 0:
        return [_crashed(signal.Signals(-result.returncode))]
    if result.returncode:
        return [_broken(_last_line(result.stderr), REINSTALL)]
    found = json.loads(result.stdout.splitlines()[-1])
    return [
        Finding("TensorFlow 1's interface", "works: graph, tf.layers, a density and a session"),
        *describe_devices(found, GPU_DEVICE.exists()),
    ]


def describe_devices(found: dict[str, Any], has_gpu: bool) -> list[Finding]:
    """Returns findings about devices and CUDA.

    Args:
      found: what the probe printed: `gpus` that TensorFlow uses, `driver`'s state, and `cuda`, the
        libraries with "" or the reason why each does not load.
      has_gpu: whether the machine has the device file of an NVIDIA GPU.
    """
    failed = {name: reason for name, reason in found["cuda"].items() if reason}
    n_libraries = len(found["cuda"])
    loaded = f"{n_libraries - len(failed)} of {n_libraries} load"
    devices = Finding("devices", ", ".join(["CPU", *(f"GPU {name}" for name in found["gpus"])]))
    libraries = Finding("CUDA's libraries", loaded)
    if found["gpus"]:
        return [devices, libraries]
    if found["driver"] == "works":
        return [devices, _unused_gpu(loaded, failed)]
    if has_gpu:
        fault = f"there is an NVIDIA GPU, but its driver libcuda.so.1 is {found['driver']}"
        cure = "install NVIDIA's driver, version 525 or newer, so that `nvidia-smi` lists the GPU"
        return [devices, libraries, Finding("NVIDIA's driver", found["driver"], fault, cure)]
    return [devices, libraries._replace(value=f"{loaded}; only an NVIDIA GPU needs them")]


def _unused_gpu(loaded: str, failed: dict[str, str]) -> Finding:
    if failed:
        fault = f"TensorFlow cannot use the GPU: {', '.join(failed)} cannot be loaded"
        cure = f"{sys.executable} -m pip install 'tensorflow[and-cuda]'"
    else:
        fault = "NVIDIA's driver and CUDA's libraries load, but TensorFlow uses no GPU"
        cure = "unset CUDA_VISIBLE_DEVICES; if that does not help, TF_CPP_MIN_LOG_LEVEL=0 shows why"
    return Finding("CUDA's libraries", loaded, fault, cure)


def _broken(fault: str, cure: str) -> Finding:
    return Finding("TensorFlow 1's interface", "does not work", fault, cure)


def _crashed(number: signal.Signals) -> Finding:
    cures = {
        signal.SIGILL: "use a processor with AVX, which TensorFlow's packages need",
        signal.SIGKILL: "free memory: the operating system stops a process that takes too much",
    }
    return _broken(f"TensorFlow ended with {number.name}", cures.get(number, REINSTALL))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the process ended with an error and no message"
