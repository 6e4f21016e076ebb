from pathlib import Path

import pytest

from moe_vae.diagnosis.tensorflow import check_tensorflow, describe_devices

ROOT = Path(__file__).parents[2]
ALL_LOAD = {"libcudart.so.12": "", "libcudnn.so.9": ""}
NONE_LOADS = dict.fromkeys(ALL_LOAD, "cannot open shared object file")


def found(gpus=(), driver="missing", cuda=NONE_LOADS):
    return {"gpus": list(gpus), "driver": driver, "cuda": cuda}


def faults(findings):
    return [finding.fault for finding in findings if finding.fault]


def test_cpu_alone_is_no_fault():
    devices, libraries = describe_devices(found(), has_gpu=False)
    assert devices.value == "CPU"
    assert libraries.value == "0 of 2 load; only an NVIDIA GPU needs them"
    assert faults([devices, libraries]) == []


def test_gpu_that_works_is_named():
    findings = describe_devices(found(["A100"], "works", ALL_LOAD), has_gpu=True)
    assert [finding.value for finding in findings] == ["CPU, GPU A100", "2 of 2 load"]
    assert faults(findings) == []


@pytest.mark.parametrize(
    ("state", "fault", "cure"),
    [
        (found(driver="works"), "libcudart.so.12, libcudnn.so.9 cannot be loaded", "and-cuda"),
        (found(driver="works", cuda=ALL_LOAD), "uses no GPU", "CUDA_VISIBLE_DEVICES"),
        (found(), "libcuda.so.1 is missing", "install NVIDIA's driver"),
        (found(driver="error 100", cuda=ALL_LOAD), "libcuda.so.1 is error 100", "nvidia-smi"),
    ],
)
def test_gpu_that_is_not_used_is_a_fault_with_its_cure(state, fault, cure):
    findings = describe_devices(state, has_gpu=True)
    assert faults(findings)[0].endswith(fault) or fault in faults(findings)[0]
    assert len(faults(findings)) == 1
    assert cure in next(finding.cure for finding in findings if finding.fault)


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "fault", "cure"),
    [
        ("import os; os.kill(os.getpid(), 4)", "TensorFlow ended with SIGILL", "AVX"),
        ("import os; os.kill(os.getpid(), 9)", "TensorFlow ended with SIGKILL", "free memory"),
        ("raise ImportError('no libstdc++')", "ImportError: no libstdc++", "--force-reinstall"),
    ],
)
def test_tensorflow_that_does_not_load_is_a_fault(tmp_path, monkeypatch, code, fault, cure):
    (tmp_path / "tensorflow.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    (finding,) = check_tensorflow()
    assert finding.fault == fault
    assert cure in finding.cure


@pytest.mark.process
def test_tensorflow_as_it_is_installed_works(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first, devices, *_ = findings = check_tensorflow()
    assert first.value.startswith("works")
    assert devices.value.startswith("CPU")
    assert faults(findings) == []
