"""The model of the seconds of a step, against its own formula; and one short measurement."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moe_vae.bench import workers
from moe_vae.bench.charts import plot_scaling
from moe_vae.bench.step_model import extrapolate, fit_model, step_seconds
from moe_vae.cli.main import main
from moe_vae.distributed.processes import Interruption
from moe_vae.interrupts import Terminated, exit_code

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
BATCH = 100
COMPUTE, RECEIVE, UPDATE, WAIT = 2e-5, 3e-10, 4e-10, 5e-3  # of an invented machine
FIXED_BYTES, EXPERT_BYTES = 8e5, 1.6e6


def made_up_run(n_workers, n_experts, cores=2, n_servers=1):
    """A run as the module's formula gives it, written out once more."""
    n_bytes = FIXED_BYTES + EXPERT_BYTES * n_experts if n_workers else 0
    seconds = COMPUTE * n_experts * BATCH
    if n_workers:
        seconds *= max(1, n_workers / cores)
        seconds += (RECEIVE * n_workers + UPDATE) * n_bytes / n_servers + WAIT
    return {
        "workers": n_workers,
        "experts": n_experts,
        "cores": cores,
        "seconds_a_step": seconds,
        "bytes_a_step_and_worker": n_bytes,
    }


@pytest.fixture(scope="module")
def model():
    runs = [made_up_run(w, k) for k in (2, 5, 10) for w in (0, 1, 2, 4)]
    return fit_model(runs, BATCH, n_servers=1)


def test_the_fit_finds_the_constants_of_invented_runs(model):
    expected = {"compute": COMPUTE, "receive": RECEIVE, "update": UPDATE, "wait": WAIT}
    assert model["constants"] == pytest.approx(expected, rel=1e-6)
    assert model["bytes"] == pytest.approx({"fixed": FIXED_BYTES, "each_expert": EXPERT_BYTES})
    assert model["relative_errors"] == pytest.approx([0] * 12, abs=1e-9)


@pytest.mark.parametrize("n_workers", [0, 1, 3, 64])
@pytest.mark.parametrize("n_servers", [1, 10])
def test_a_step_is_extrapolated_by_the_formula(model, n_workers, n_servers):
    expected = made_up_run(n_workers, 100, max(1, n_workers), n_servers)["seconds_a_step"]
    assert step_seconds(model, n_workers, 100, BATCH, n_servers) == pytest.approx(expected)


def test_it_pays_from_the_first_number_of_workers_that_is_faster_than_one_process(model):
    entries = extrapolate(model, BATCH, n_servers=10)
    assert [entry["experts"] for entry in entries] == [10, 100]
    for entry in entries:
        n_experts = entry["experts"]
        assert entry["alone"] == pytest.approx(55_000 * COMPUTE * n_experts)
        for n, seconds in entry["workers"].items():
            step = made_up_run(int(n), n_experts, int(n), 10)["seconds_a_step"]
            assert seconds == pytest.approx(55_000 / (int(n) * BATCH) * step)
        faster = [int(n) for n, seconds in entry["workers"].items() if seconds < entry["alone"]]
        assert entry["pays"] == min(faster)


def test_the_figure_shows_the_measured_runs_and_the_extrapolated_model(model):
    runs = [
        {**made_up_run(n_workers, n_experts), "seconds_an_epoch": n_experts / (1 + n_workers)}
        for n_experts in (2, 5)
        for n_workers in (0, 1, 2)
    ]
    fitted = {**model, "relative_errors": [0.5] * len(runs)}
    figure = plot_scaling(runs, fitted, extrapolate(model, BATCH, 1), 5500)
    measured, *extrapolated = figure.axes
    assert len(extrapolated) == 2
    legend = [text.get_text() for text in measured.get_legend().get_texts()]
    assert legend[2:] == ["measured", "model", "measured, one process"]
    line, dots, alone = measured.lines[:3]
    assert list(dots.get_ydata()) == [1, 2 / 3]
    assert list(line.get_ydata()) == [1.5, 1]
    assert set(alone.get_ydata()) == {2}


def test_it_never_pays_where_a_byte_costs_too_much(model):
    slow = {**model, "constants": {**model["constants"], "receive": 1.0}}
    assert [entry["pays"] for entry in extrapolate(slow, BATCH, 1)] == [None, None]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "1"], "--epochs is 1: it must be at least 2"),
        (["--experts", "5"], "--experts is [5]: it must be two numbers or more"),
        (["--examples", "399"], "--examples is 399: it must be at least 400, a batch for each"),
    ],
)
def test_what_cannot_be_measured_is_refused(capfd, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["scaling", *words])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interruption_ends_it_with_the_signals_exit_code(tmp_path, monkeypatch, signal, code):
    ended = Interruption(signal(), "interrupted before the training began: nothing to write")
    monkeypatch.setattr(workers, "start_task", lambda *_: None)
    monkeypatch.setattr(workers, "stopping_processes", lambda: contextlib.nullcontext([]))
    monkeypatch.setattr(workers, "wait_for_tasks", lambda processes: ended)
    with pytest.raises(signal) as caught:
        workers.run_scaling(out=tmp_path / "cluster.json")
    assert exit_code(caught.value) == code
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_scaling_measures_and_counts(tmp_path):
    out = tmp_path / "cluster.json"
    words = ["--workers", "1", "2", "--experts", "1", "3", "--examples", "400", "--epochs", "2"]
    subprocess.run(
        [sys.executable, "-m", "moe_vae", "scaling", *words, "--out", os.fspath(out)],
        cwd=ROOT,
        check=True,
        timeout=600,
    )
    result = json.loads(out.read_text())
    assert [(run["experts"], run["workers"]) for run in result["runs"]] == [
        (experts, workers) for experts in (1, 3) for workers in (0, 1, 2)
    ]
    # Every weight of post 3's expert and manager goes out, and its gradient comes back.
    expert = 784 * 128 + 128 + 2 * (128 * 10 + 10) + 10 * 128 + 128 + 128 * 784 + 784
    for run in result["runs"]:
        n = run["experts"]
        manager = 784 * 128 + 128 + 128 * n + n
        expected = 2 * 4 * (n * expert + manager) if run["workers"] else 0
        assert run["bytes_a_step_and_worker"] == pytest.approx(expected, rel=0.05)
    assert (tmp_path / "figures" / "cluster_scaling.png").exists()
