import os
import shutil

import pytest

from moe_vae.diagnosis import machine


def values(folder):
    return {finding.name: finding for finding in machine.check_machine(folder)}


def test_disk_is_that_of_the_folder(tmp_path):
    free = float(values(tmp_path)["free disk"].value.split()[0])
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 2**30, abs=1.0)


def test_cores_are_those_that_this_process_may_use(tmp_path):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert values(tmp_path)["processor cores"].value == "1"
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize(
    ("limit", "name"), [("MEMORY_NEEDED", "free memory"), ("DISK_NEEDED", "free disk")]
)
def test_less_than_is_needed_is_a_fault(monkeypatch, tmp_path, limit, name):
    monkeypatch.setattr(machine, limit, 2**70)  # more than any machine has
    finding = values(tmp_path)[name]
    assert finding.fault == f"{name} is {finding.value}: {2**40} GiB are needed"
    assert finding.cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_folder_that_cannot_be_written_is_a_fault(tmp_path):
    tmp_path.chmod(0o555)
    assert "cannot write" in values(tmp_path)["free disk"].fault
