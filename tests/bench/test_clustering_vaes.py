"""The timed models: the loop over clusters computes what VaDE computes."""

import json

import numpy as np
import pytest

from moe_vae import DataSet, DataSets, read_data_sets
from moe_vae.bench import clustering_vaes
from moe_vae.bench.clustering_vaes import build_scanned_vade, time_clustering_vaes
from moe_vae.bench.records import machine
from moe_vae.cli import times
from moe_vae.cli.main import main
from moe_vae.models.vade import build_vade
from moe_vae.training.trainer import start_trainer

SMALL = {"encoder_layers": [8], "decoder_layers": [8]}


def images(n=60):
    return np.random.default_rng(0).random([n, 784], np.float32)


def test_one_cluster_after_the_other_gives_vades_losses(tmp_path):
    params = {**SMALL, "z_dim": 3, "prior_mean_std": 1.0}
    plain = start_trainer(build_vade, params, 0)
    plain.save(tmp_path / "model.ckpt")
    scanned = start_trainer(build_scanned_vade, params, 1)
    scanned.begin_with(tmp_path / "model.ckpt")
    eps = np.random.default_rng(1).standard_normal([60, 3])
    losses = [
        trainer.session.run(
            trainer.model.losses, {trainer.model.inputs: images(), trainer.model.eps: eps}
        )
        for trainer in (plain, scanned)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.process
def test_every_model_and_gate_is_timed(monkeypatch):
    monkeypatch.setattr(clustering_vaes, "SIZES", SMALL)
    data_set = DataSet(images(200), np.zeros(200, int))
    seconds = time_clustering_vaes(DataSets(*[data_set] * 3, name="MNIST"), seed=3)
    assert (seconds["n_train"], seconds["n_test"]) == (200, 200)
    assert (seconds["data"], seconds["seed"]) == ("MNIST", 3)
    assert seconds.items() >= machine().items()
    assert {name: len(values) for name, values in seconds["epoch"].items()} == {
        "VaDE": 3,
        "VaDE, one cluster after the other": 3,
        "DMVAE": 3,
    }
    assert {name: len(values) for name, values in seconds["prediction"].items()} == {
        "DMVAE": 5,
        "VaDE, S = 1": 5,
        "VaDE, S = 10": 5,
        "VaDE, S = 100": 5,
    }
    assert (
        min(min(values) for kind in ("epoch", "prediction") for values in seconds[kind].values())
        > 0
    )


@pytest.mark.process
def test_the_command_writes_the_times(tmp_path, monkeypatch):
    monkeypatch.setattr(
        times, "time_clustering_vaes", lambda data_sets, seed: {"of": [data_sets.name, seed]}
    )
    monkeypatch.chdir(tmp_path)
    main(["times", "--data", "sample", "--seed", "7"])
    written = json.loads((tmp_path / "results/times.json").read_text())
    assert written == {
        "format_version": 1,
        "command": "python -m moe_vae times --data sample --seed 7",
        "of": [read_data_sets(data="sample").name, 7],
    }
