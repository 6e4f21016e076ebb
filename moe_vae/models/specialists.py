"""Mixtures of VAEs with other routings than the post's."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.models.information_encoder import INFORMATION_PARAMS, InformationEncoder
from moe_vae.nn.losses import (
    log_likelihood_bound,
)
from moe_vae.params import ParameterError, check_params
from moe_vae.posts.mixture_of_vaes import (
    MIXTURE_OF_VAES_PARAMS,
    N_EXPERTS,
    VAE,
    Manager,
)

__all__ = [
    "BALANCED_PARAMS",
    "ROUTINGS",
    "SPECIALIST_PARAMS",
    "BalancedManager",
    "SpecialistManager",
    "build_mixture_of_vaes",
    "mixture_of_vaes_params",
    "vae_params",
]

# The weight at which, near balance, the entropy's curvature is the variance's in a post's batch:
# 2 * 0.1 * 100^2 / 10^2.
BALANCED_PARAMS = {**MIXTURE_OF_VAES_PARAMS, "routing": "balanced", "balancing_weight": 20.0}


# What the encoder that routes has of its own parameters, under their names there.
_ENCODER_PARAMS = (
    "n_over_clusters",
    "cluster_encoder_layers",
    "normalise",
    "input_std",
    "n_neighbours",
    "neighbour_reach",
    "deskew",
    "augment",
    "regroup",
    "pretrain_epochs",
)


# In the place of the manager's layers and its balancing stand the encoder's.
SPECIALIST_PARAMS = {
    **{
        name: value
        for name, value in MIXTURE_OF_VAES_PARAMS.items()
        if name not in ("manager_layers", "balancing_weight")
    },
    **{name: INFORMATION_PARAMS[name] for name in _ENCODER_PARAMS},
    "routing": "information",
    "routing_epochs": INFORMATION_PARAMS["epochs"],
    "routing_batch_size": INFORMATION_PARAMS["batch_size"],
    "information_weight": 0.0,
    "epochs": 10,
}


class BalancedManager(Manager):
    """The post's manager with the other measure of balance, which does not grow with the batch.

    With H the entropy of the mean over the batch of p, in nats,

        balancing_loss = log(experts) - H

    which is also what the information of `SpecialistManager` has of balance; what it has besides,
    that two views of an image be routed alike, is left out here.

    Args:
      params: dict; see `BALANCED_PARAMS` for names and defaults.
      experts, images: as for `Manager`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    defaults = BALANCED_PARAMS

    def _calc_balancing_loss(self):
        mean_probs = self.prob_sums / tf.reduce_sum(self.prob_sums)
        return np.log(self.n_columns) + tf.reduce_sum(tf.math.xlogy(mean_probs, mean_probs))


def vae_params(params):
    """Returns those of a mixture's parameters, a dict, that its `VAE`s and the post's have, too."""
    return {name: value for name, value in params.items() if name in MIXTURE_OF_VAES_PARAMS}


class SpecialistManager(Manager):
    """A manager that makes specialists: its network is an `InformationEncoder`.

    The encoder is trained in two phases of its own, "over" and "routing", before the experts. The
    information of its clusters does what the post's balancing loss is for, and makes the choice
    sharp as well. Then, in phase "loss",

        loss = expected_expert_loss - information_weight (information + over_information)

    is trained by experts and encoder together or, with `information_weight` 0, the
    expected_expert_loss by the experts alone, and the encoder stays as it is. With a uniform prior
    over the experts,

        bound = -expected_expert_loss - KL(p || uniform)

    is a lower bound on the mean of log p(x), of which the encoder is the posterior over experts.

    Attributes:
      router: the `InformationEncoder`.
      bound: scalar, in nats an image.
      learning_rate: scalar; may be fed.
      And those of `Manager`, without `prob_sums` and `balancing_loss`.

    Args:
      params: dict; see `SPECIALIST_PARAMS` for names and defaults.
      experts, images: as for `Manager`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    defaults = SPECIALIST_PARAMS

    def calc_probs(self, images):
        """Returns p(expert | image), float tensor [batch, experts]."""
        params = self.params
        self.router = InformationEncoder(
            {
                **{name: params[name] for name in _ENCODER_PARAMS},
                "n_clusters": self.n_columns,
                # One that comes trained has none; its schedule is not asked then.
                "epochs": params["routing_epochs"] or INFORMATION_PARAMS["epochs"],
                "batch_size": params["routing_batch_size"],
                "learning_rate": params["learning_rate"],
            },
            images,
            probs_first=self._trains_router,
        )
        self.learning_rate = self.router.learning_rate
        return self.router.probs

    def _build_mixture_losses(self):
        with tf.name_scope("expected_expert_loss"):
            # Held, the router gets no gradient from what the experts lose.
            held = tf.stop_gradient(self.probs)
            self._routed = self.probs if self._trains_router else held
            self.expected_expert_loss = tf.reduce_mean(
                tf.reduce_sum(self._routed * self.expert_losses, axis=1)
            )
        self.bound = log_likelihood_bound(self.probs, self.expert_losses)
        weight = self.params["information_weight"]
        self.loss = self.expected_expert_loss
        if weight:
            self.loss = tf.add(self.loss, weight * self.router.loss, name="loss")

    @property
    def _trains_router(self):
        """Whether the router goes on learning beside the experts."""
        return self.params["information_weight"] > 0

    # What the training loop needs of a model.

    @property
    def phases(self):
        """Dict of phase to the loss that it minimises."""
        over, routing = self.router.phases.values()
        return {"over": over, "routing": routing, "loss": self.loss}

    def batch_size(self, phase):
        """Returns the number of examples in a batch of a phase."""
        return self.params["batch_size" if phase == "loss" else "routing_batch_size"]

    def moves_averages(self, phase):
        """Whether a phase moves the means and variances that batch normalisation keeps."""
        return phase != "loss" or self._trains_router

    def schedule(self, phase, epoch):
        """Returns the learning rate in the steps of an epoch."""
        if phase == "loss":
            return {}
        return self.router.schedule("over" if phase == "over" else "loss", epoch)

    def pretrain(self, trainer, train_set):
        """Trains the router: what is left of its epochs.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        self.router.pretrain(trainer, train_set)
        left = self.params["routing_epochs"] - trainer.epochs_done["routing"]
        if not trainer.interrupted:
            trainer.fit(train_set, left, sample=False, phase="routing")

    def after_epoch(self, phase, session, sums):
        """Lets the router group its outputs anew, until there are experts that know their group."""
        if phase != "loss":
            self.router.after_epoch(phase, session, sums[: len(self.router.batch_sums)])

    @property
    def _learns_to_route(self):
        """Whether there is a router's training to record: not where it comes trained."""
        epochs = self.params["pretrain_epochs"] + self.params["routing_epochs"]
        return epochs > 0 or self._trains_router

    @property
    def losses(self):
        """Dict of name to scalar tensor: the losses that a history records."""
        information = {
            "information": self.router.information,
            "over_information": self.router.over_information,
        }
        return {
            "expected_expert_loss": self.expected_expert_loss,
            "bound": self.bound,
            **(information if self._learns_to_route else {}),
            "loss": self.loss,
        }

    @property
    def batch_means(self):
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.expected_expert_loss, self.bound]

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow."""
        return self.router.batch_sums if self._learns_to_route else []

    def feed(self, images, labels=None, targets=None, partners=None):
        """Returns the feed dict for a batch; labels and targets are not used."""
        return self.router.feed(images, labels, targets, partners)


# The routings, and the parameters of each.
ROUTINGS = {
    "post": {**MIXTURE_OF_VAES_PARAMS, "routing": "post"},
    "balanced": BALANCED_PARAMS,
    "information": SPECIALIST_PARAMS,
}


def mixture_of_vaes_params(params):
    """Returns the defaults of a mixture of VAEs with the `routing` in `params`, or the post's.

    Raises:
      ParameterError: there is no such routing.
    """
    routing = params.get("routing", "post")
    if routing not in ROUTINGS:
        raise ParameterError(
            f"parameter 'routing' is {routing!r}: it must be one of {', '.join(ROUTINGS)}"
        )
    return ROUTINGS[routing]


def build_mixture_of_vaes(params, n_experts=N_EXPERTS, n_features=IMAGE_PIXELS):
    """Builds the placeholder, the experts and their manager in the current graph.

    Args:
      params: dict as for `VAE` and, by its `routing`, for `Manager` ("post", the default),
        `BalancedManager` ("balanced") or `SpecialistManager` ("information").
      n_experts: number of experts, at least 1.
      n_features: number of columns of the data.

    Returns:
      The manager; its `experts` are the VAEs.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 3, cell 6.
    """
    params = check_params(params, mixture_of_vaes_params(params))
    shared = vae_params(params)
    images = tf.placeholder(tf.float32, [None, n_features], name="images")
    experts = [VAE(shared, images) for _ in range(n_experts)]
    if params["routing"] == "post":
        return Manager(shared, experts, images)
    manager = {"balanced": BalancedManager, "information": SpecialistManager}[params["routing"]]
    return manager(params, experts, images)
