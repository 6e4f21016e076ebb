"""The time of an epoch and of a prediction with VaDE and DMVAE, with networks of one size."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from moe_vae.bench.records import machine
from moe_vae.compat import Tensor, tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.data.dataset import DataSets
from moe_vae.model import Model
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.vade import VaDE, build_vade
from moe_vae.training.trainer import Trainer, start_trainer

__all__ = ["ScannedVaDE", "build_scanned_vade", "time_clustering_vaes"]

# The sizes of VaDE's authors; DMVAE's second encoder has the same.
SIZES = {"encoder_layers": [512, 256], "decoder_layers": [256, 512]}
N_EPOCHS = 3
N_PREDICTIONS = 5
N_SAMPLES = (1, 10, 100)

Build = Callable[[Mapping[str, Any]], Model]


class ScannedVaDE(VaDE):
    """VaDE whose loss loops over the clusters with `tf.scan`, where `VaDE` takes all at once.

    The values are the same. The class is here to measure what such a loop costs.
    """

    def _expected_code_kl(self) -> Tensor:
        mu, var = self.encoder_mu, self.encoder_var
        probs = tf.transpose(tf.exp(self.log_probs))

        def add_cluster(total: Tensor, cluster: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            prior_mu, prior_var, prob = cluster
            squares = (var + tf.math.squared_difference(mu, prior_mu)) / prior_var
            kl = 0.5 * tf.reduce_sum(tf.log(prior_var) - tf.log(var) + squares - 1, axis=1)
            return total + prob * kl

        totals = tf.scan(
            add_cluster, (self.prior.mu, self.prior.var, probs), tf.zeros_like(probs[0])
        )
        return tf.reduce_mean(totals[-1])


def build_scanned_vade(params: Mapping[str, Any]) -> ScannedVaDE:
    """Builds a `ScannedVaDE` for images of 784 pixels in the current graph."""
    return ScannedVaDE(params, tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="inputs"))


def time_clustering_vaes(data_sets: DataSets, seed: int = 0) -> dict[str, Any]:
    """Times VaDE and DMVAE, in turns, on one data set of images.

    Args:
      data_sets: a `DataSets`; an epoch is one pass over its training set, a prediction one over
        its test set.
      seed: seed of the weights, the noise and the batches.

    Returns:
      Dict with the `data`, the `seed`, what `machine` says of this machine, the networks' `sizes`,
      `n_train` and `n_test`, the numbers of images; `epoch`, by model a list of seconds of an
      epoch's training steps, without the first epoch; and `prediction`, by gate a list of seconds
      for all test images.
    """
    kinds: dict[str, tuple[Build, dict[str, Any]]] = {
        "VaDE": (build_vade, SIZES),
        "VaDE, one cluster after the other": (build_scanned_vade, SIZES),
        "DMVAE": (build_dmvae, {**SIZES, "cluster_encoder_layers": SIZES["encoder_layers"]}),
    }
    trainers = {name: start_trainer(build, params, seed) for name, (build, params) in kinds.items()}
    for _ in range(1 + N_EPOCHS):
        for trainer in trainers.values():
            trainer.fit(data_sets.train, 1, sample=False)
    gates: dict[str, tuple[Trainer, dict[str, int]]] = {"DMVAE": (trainers["DMVAE"], {})}
    for n_samples in N_SAMPLES:
        gates[f"VaDE, S = {n_samples}"] = (trainers["VaDE"], {"n_samples": n_samples})
    return {
        "data": data_sets.name,
        "seed": seed,
        **machine(),
        "sizes": SIZES,
        "n_train": data_sets.train.num_examples,
        "n_test": data_sets.test.num_examples,
        "epoch": {name: trainer.seconds[1:] for name, trainer in trainers.items()},
        "prediction": _time_predictions(gates, data_sets.test.images),
    }


def _time_predictions(
    gates: Mapping[str, tuple[Trainer, dict[str, int]]], images: np.ndarray
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in gates}
    for _ in range(1 + N_PREDICTIONS):
        for name, (trainer, options) in gates.items():
            start = time.perf_counter()
            trainer.model.predict_proba(trainer.session, images, **options)
            seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}
