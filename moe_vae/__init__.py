"""Mixtures of experts with variational autoencoders, in the style of TensorFlow 1."""

import moe_vae.needs  # before all others: says what is missing  # noqa: F401
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import Batch, DataSet, DataSets
from moe_vae.data.folders import read_images
from moe_vae.data.own import ReadOptions
from moe_vae.data.reading import read_data_sets
from moe_vae.data.spiral import make_spiral
from moe_vae.data.targets import add_affine_targets
from moe_vae.experiments.pretrained import load_pretrained
from moe_vae.model import Model, ModelError
from moe_vae.models.dmvae import DMVAE, DMVAE_PARAMS, build_dmvae
from moe_vae.models.gates import GATES
from moe_vae.models.hierarchy import HierarchicalMixture, build_hierarchical_mixture
from moe_vae.models.mixture_of_experts import (
    MixtureOfExperts,
    build_mixture_of_experts,
    mixture_of_experts_params,
)
from moe_vae.models.specialists import SpecialistManager, build_mixture_of_vaes
from moe_vae.models.vade import VADE_PARAMS, VaDE, build_vade
from moe_vae.models.vae import VAE_PARAMS, PlainVAE, build_vae
from moe_vae.params import ParameterError
from moe_vae.posts.conditional_vae import (
    CONDITIONAL_VAE_PARAMS,
    ConditionalVAE,
    build_conditional_vae,
)
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, VAE, Manager
from moe_vae.training.trainer import Trainer, set_seeds, start_trainer
from moe_vae.version import __version__

__all__ = [
    "CONDITIONAL_VAE_PARAMS",
    "DMVAE",
    "DMVAE_PARAMS",
    "GATES",
    "MIXTURE_OF_VAES_PARAMS",
    "VADE_PARAMS",
    "VAE",
    "VAE_PARAMS",
    "Batch",
    "ConditionalVAE",
    "DataError",
    "DataSet",
    "DataSets",
    "HierarchicalMixture",
    "Manager",
    "MixtureOfExperts",
    "Model",
    "ModelError",
    "ParameterError",
    "PlainVAE",
    "ReadOptions",
    "SpecialistManager",
    "Trainer",
    "VaDE",
    "__version__",
    "add_affine_targets",
    "build_conditional_vae",
    "build_dmvae",
    "build_hierarchical_mixture",
    "build_mixture_of_experts",
    "build_mixture_of_vaes",
    "build_vade",
    "build_vae",
    "load_pretrained",
    "make_spiral",
    "mixture_of_experts_params",
    "read_data_sets",
    "read_images",
    "set_seeds",
    "start_trainer",
]
