"""The models as scikit-learn estimators, for arrays of your own."""

from moe_vae.estimators.callbacks import EarlyStopping
from moe_vae.estimators.clustering import DMVAEClusterer, VaDEClusterer
from moe_vae.estimators.conditional import ConditionalVAEClassifier
from moe_vae.estimators.experts import MixtureOfExpertsClassifier, MixtureOfExpertsRegressor
from moe_vae.estimators.files import load
from moe_vae.estimators.mixtures import HierarchicalMixtureClusterer, MixtureOfVAEsClusterer

__all__ = [
    "ConditionalVAEClassifier",
    "DMVAEClusterer",
    "EarlyStopping",
    "HierarchicalMixtureClusterer",
    "MixtureOfExpertsClassifier",
    "MixtureOfExpertsRegressor",
    "MixtureOfVAEsClusterer",
    "VaDEClusterer",
    "load",
]
