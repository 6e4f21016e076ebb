"""Estimators with settings so small that a fit takes a fraction of a second."""

from moe_vae.estimators import (
    ConditionalVAEClassifier,
    DMVAEClusterer,
    HierarchicalMixtureClusterer,
    MixtureOfExpertsClassifier,
    MixtureOfExpertsRegressor,
    MixtureOfVAEsClusterer,
    VaDEClusterer,
)

SMALL = {"epochs": 10, "learning_rate": 0.05, "random_state": 0, "batch_size": 50}
LAYERS = [8]
NETWORKS = {"encoder_layers": LAYERS, "decoder_layers": LAYERS}


def conditional(**changed):
    params = {"digit_classification_layers": LAYERS, **NETWORKS, **SMALL, **changed}
    return ConditionalVAEClassifier(**{"z_dim": 2, **params})


def mixture(**changed):
    params = {"z_dim": 2, "manager_layers": LAYERS, **NETWORKS, **SMALL, **changed}
    return MixtureOfVAEsClusterer(**{"n_experts": 3, **params})


def hierarchy(**changed):
    others = {
        "cluster_encoder_layers": LAYERS,
        "pretrain_epochs": 1,
        "routing_epochs": 6,
        "n_over_clusters": 4,
    }
    # One style: the others would be trained and built in the same way.
    params = {"n_experts": 3, "n_styles": 1, "z_dim": 2, "manager_layers": LAYERS, **NETWORKS}
    slower = {"epochs": 1, "learning_rate": 0.02, "batch_size": 20}
    return HierarchicalMixtureClusterer(
        **{**params, **SMALL, **slower, "params": others, **changed}
    )


def vade(**changed):
    params = {"n_clusters": 3, "z_dim": 2, "pretrain_epochs": 10, **NETWORKS, **SMALL}
    return VaDEClusterer(**{**params, "params": {"gmm_restarts": 1}, **changed})


def dmvae(**changed):
    params = {"n_clusters": 3, "z_dim": 2, "cluster_encoder_layers": LAYERS, **NETWORKS, **SMALL}
    faster = {"epochs": 20, "learning_rate": 0.1, "decoder_std": 0.3}
    return DMVAEClusterer(**{**params, **faster, **changed})


def regressor(**changed):
    return MixtureOfExpertsRegressor(
        **{
            "gate": "softmax",
            "n_clusters": 2,
            **SMALL,
            "epochs": 20,
            "learning_rate": 0.1,
            **changed,
        }
    )


def classifier(**changed):
    return MixtureOfExpertsClassifier(
        **{
            "gate": "softmax",
            "n_clusters": 2,
            **SMALL,
            "epochs": 20,
            "learning_rate": 0.1,
            **changed,
        }
    )


CODERS = (conditional, mixture, hierarchy, vade, dmvae)
ALL = (*CODERS, regressor, classifier)
