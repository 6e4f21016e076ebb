"""Which engine a run gets: what was measured decides, and nothing else."""

import json
import math
from pathlib import Path

import pytest

from moe_vae.cli.main import main
from moe_vae.data.dataset import Form
from moe_vae.experiments import runs
from moe_vae.experiments.engine_choice import (
    BREAK_EVENS,
    BreakEven,
    Machine,
    choose_engine,
    measured_examples,
)
from moe_vae.experiments.registry import MODELS, default_params, engines_of

ROOT = Path(__file__).parents[2]
BENCH = json.loads((ROOT / "results/bench.json").read_text())
MNIST = Form((28, 28), 10)
N_MNIST = 55_000
AS_MEASURED = Machine(2, has_gpu=False)


def choice(model, n_examples=N_MNIST, form=MNIST, machine=AS_MEASURED, given=None, **others):
    params = default_params(model, form, given) | (given or {})
    return choose_engine(model, form, params, n_examples, machine, **others)


@pytest.mark.parametrize("entry", BREAK_EVENS, ids=lambda entry: entry.model)
def test_the_table_is_that_of_the_recorded_benchmark(entry):
    assert BENCH["data"] == "MNIST"
    assert BENCH["cores"] == entry.cores
    assert entry.examples == measured_examples(entry, BENCH)


def test_what_compiling_costs_is_gained_back_epoch_by_epoch():
    def epoch(train):
        return {"train": train, "evaluate": 1.0}

    bench = {
        "steps": 10,
        "first_epoch": {"plain": epoch(4.0), "fused": epoch(8.0)},
        "epochs": {"plain": [epoch(4.0)] * 3, "fused": [epoch(3.0), epoch(2.0), epoch(2.0)]},
    }
    # 4 s are lost after the first epoch, and 2 s are gained in each of two more.
    assert measured_examples(BreakEven("mixture-of-vaes", "fused", 2, 0), bench) == 3 * 1000


@pytest.mark.parametrize("entry", BREAK_EVENS, ids=lambda entry: entry.model)
def test_the_number_of_examples_decides(entry):
    given = {**entry.params, "epochs": 2, "pretrain_epochs": 0, "gate_epochs": 0}
    given = {key: given[key] for key in given if key in default_params(entry.model, MNIST, given)}
    few, enough = math.ceil(entry.examples / 2) - 1, math.ceil(entry.examples / 2)
    assert choice(entry.model, few, given=given)[0] == "plain"
    assert choice(entry.model, enough, given=given)[0] == entry.engine
    assert entry.engine in engines_of(entry.model)


def test_every_phase_is_compiled():
    given = {"epochs": 1, "pretrain_epochs": 1}
    assert choice("vade", 2 * 33_456 - 1, given=given) == (
        "plain",
        "compiled pays from 66,912 examples on, and 1 epochs have 66,911",
    )
    assert choice("vade", 2 * 33_456, given=given)[0] == "compiled"


@pytest.mark.parametrize(
    ("model", "others", "reason"),
    [
        ("mixture-of-vaes", {"machine": Machine(4, False)}, "on 2 cores, and these are 4"),
        ("mixture-of-vaes", {"machine": Machine(2, True)}, "no engine was measured on a GPU"),
        ("mixture-of-vaes", {"is_cluster": True}, "a cluster needs it"),
        ("mixture-of-vaes", {"is_begun": True}, "only on models that begin with no other"),
        ("mixture-of-vaes", {"given": {"routing": "information"}}, "only with another 'routing'"),
        ("mixture-of-vaes", {"given": {"n_experts": 100}}, "only with another 'n_experts'"),
        ("conditional-vae", {"given": {"network": "conv"}}, "only with another 'network'"),
        ("moe", {"given": {"gate": "softmax"}}, "only with another 'gate'"),
        ("vade", {"form": Form((2,), 5)}, "only on images of 28 x 28 pixels"),
        ("information", {}, "no other engine was measured for information"),
        ("vae", {}, "no other engine was measured for vae"),
    ],
)
def test_what_was_not_measured_gets_the_plain_engine(model, others, reason):
    engine, why = choice(model, **others)
    assert engine == "plain"
    assert reason in why


def test_a_rate_or_a_weight_does_not_change_a_steps_time():
    given = {"learning_rate": 0.01, "balancing_weight": 1.0}
    assert choice("mixture-of-vaes", given=given)[0] == "fused"


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_choice(model):
    assert choice(model)[0] in engines_of(model)


def test_a_run_says_its_engine_and_its_record_has_it(tmp_path, monkeypatch, capfd):
    words = ["train", "conditional-vae", "--data", "sample", "--out", str(tmp_path), "--epochs"]
    monkeypatch.setattr(runs, "usable_cores", lambda: 2)
    main([*words, "1"])
    said = capfd.readouterr().err
    assert said.count("The engine is plain: compiled pays from 293,974 examples on, and") == 1
    assert json.loads((tmp_path / "metrics.json").read_text())["engine"] == "plain"
    monkeypatch.setattr(runs, "choose_engine", lambda *_: ("compiled", "this test asks for it"))
    main([*words, "2", "--resume"])
    assert "The engine is plain: the run began with it." in capfd.readouterr().err
    assert json.loads((tmp_path / "metrics.json").read_text())["engine"] == "plain"


def test_an_engine_that_is_chosen_is_said_recorded_and_can_be_changed(tmp_path, monkeypatch, capfd):
    words = ["train", "conditional-vae", "--data", "sample", "--out", str(tmp_path), "--epochs"]
    monkeypatch.setattr(runs, "choose_engine", lambda *_: ("compiled", "this test asks for it"))
    main([*words, "1"])
    assert "The engine is compiled: this test asks for it." in capfd.readouterr().err
    assert json.loads((tmp_path / "metrics.json").read_text())["engine"] == "compiled"
    main([*words, "2", "--resume", "--engine", "plain"])
    assert "The engine is" not in capfd.readouterr().err
