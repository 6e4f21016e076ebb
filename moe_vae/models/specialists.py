"""Mixtures of VAEs whose images are routed in another way than the post's.

`BalancedManager` measures balance by an entropy. `SpecialistManager` first learns to put two views
of one image together, and so makes each expert draw one digit. `LabelManager` learns no routing: it
reads the labels. `ROUTINGS` holds all of them by name.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE, DataError, check_labels
from moe_vae.data.dataset import Batch, DataSet, Shape
from moe_vae.model import builds_model
from moe_vae.models.information_encoder import INFORMATION_PARAMS, InformationEncoder
from moe_vae.nn.losses import log_likelihood_bound, x_log_x
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import check_choice, check_params, network_params
from moe_vae.posts.mixture_of_vaes import (
    MIXTURE_OF_VAES_PARAMS,
    Manager,
    build_experts,
)
from moe_vae.schedules import Schedule

__all__ = [
    "BALANCED_PARAMS",
    "LABEL_PARAMS",
    "ROUTINGS",
    "SPECIALIST_PARAMS",
    "BalancedManager",
    "LabelManager",
    "Routing",
    "SpecialistManager",
    "build_mixture_of_vaes",
    "mixture_of_vaes_params",
    "vae_params",
]

# The weight at which, near balance, the entropy's curvature is the variance's in a post's batch:
# 2 * 0.1 * 100^2 / 10^2.
BALANCED_PARAMS: dict[str, Any] = {
    **MIXTURE_OF_VAES_PARAMS,
    "routing": "balanced",
    "balancing_weight": 20.0,
}

# The router's own parameters, under the names that they have in `INFORMATION_PARAMS`.
_ROUTER_PARAMS = (
    "n_over_clusters",
    "cluster_encoder_filters",
    "cluster_encoder_kernels",
    "cluster_encoder_layers",
    "normalise",
    "input_std",
    "n_neighbours",
    "neighbour_reach",
    "deskew",
    "augment",
    "elastic_std",
    "plain_share",
    "regroup",
    "pretrain_epochs",
)

# Those of the experts alone: the post's without its manager's layers and balancing.
_EXPERT_PARAMS = {
    name: value
    for name, value in MIXTURE_OF_VAES_PARAMS.items()
    if name not in ("manager_layers", "balancing_weight")
}

LABEL_PARAMS: dict[str, Any] = {**_EXPERT_PARAMS, "routing": "labels"}

SPECIALIST_PARAMS: dict[str, Any] = {
    **_EXPERT_PARAMS,
    **{name: value for name, value in INFORMATION_PARAMS.items() if name in _ROUTER_PARAMS},
    "routing": "information",
    "routing_epochs": INFORMATION_PARAMS["epochs"],
    "routing_batch_size": INFORMATION_PARAMS["batch_size"],
    "information_weight": 0.0,
    "epochs": 10,
}


class BalancedManager(Manager):
    """The post's manager with a measure of balance that does not grow with the batch.

    With H the entropy of the mean over the batch of p, in nats,

        balancing_loss = log(experts) - H

    The information of `SpecialistManager` contains the same term for balance. It also asks that two
    views of an image go to one expert, which this manager does not.

    Args:
      params: dict; see `BALANCED_PARAMS` for names and defaults.
      experts, images, shape: as for `Manager`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    defaults = BALANCED_PARAMS

    def _calc_balancing_loss(self) -> Tensor:
        mean_probs = self.prob_sums / tf.reduce_sum(self.prob_sums)
        return np.log(self.n_columns) + tf.reduce_sum(x_log_x(mean_probs))


def vae_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a mixture that the post's mixture has as well."""
    theirs = network_params(MIXTURE_OF_VAES_PARAMS, params)
    return {name: value for name, value in params.items() if name in theirs}


class SpecialistManager(Manager):
    """A manager whose experts specialise: its network, the router, is an `InformationEncoder`.

    Two phases, "over" and "routing", train the router before the experts. The information of its
    clusters keeps the experts balanced, as the post's balancing loss does, and makes each choice
    certain. Then phase "loss" minimises

        loss = expected_expert_loss - information_weight (information + over_information)

    over experts and router. With `information_weight` 0 it trains the experts alone and leaves the
    router as it is. With a uniform prior over the experts,

        bound = -expected_expert_loss - KL(p || uniform)

    is a lower bound on the mean of log p(x), in which the router is the posterior over experts.

    Attributes:
      router: the `InformationEncoder`.
      bound: scalar, in nats an image.
      And those of `Manager`, without `prob_sums` and `balancing_loss`.

    Args:
      params: dict; see `SPECIALIST_PARAMS` for names and defaults.
      experts, images, shape: as for `Manager`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.
    """

    defaults = SPECIALIST_PARAMS
    mixes_examples = True  # as the router does

    def calc_probs(self, images: Tensor) -> Tensor:
        """Returns p(expert | image), float tensor [batch, experts]."""
        params = self.params
        self.router = InformationEncoder(
            {
                **{name: value for name, value in params.items() if name in _ROUTER_PARAMS},
                "network": params["cluster_encoder_network"],
                "n_clusters": self.n_columns,
                # A router that is trained beforehand has 0 epochs here and needs no schedule.
                "epochs": params["routing_epochs"] or INFORMATION_PARAMS["epochs"],
                "batch_size": params["routing_batch_size"],
                "learning_rate": params["learning_rate"],
            },
            images,
            self.shape,
            probs_first=self._trains_router,
        )
        return self.router.probs

    def _build_mixture_losses(self) -> None:
        with tf.name_scope("expected_expert_loss"):
            # A router that is held gets no gradient from the experts' losses.
            held = tf.stop_gradient(self.probs)
            self._routed = self.probs if self._trains_router else held
            self._example_losses = tf.reduce_sum(self._routed * self.expert_losses, axis=1)
            self.expected_expert_loss = tf.reduce_mean(self._example_losses)
        self.bound = log_likelihood_bound(self.probs, self.expert_losses)
        weight = self.params["information_weight"]
        self.loss = self.expected_expert_loss
        if weight:
            self.loss = tf.add(self.loss, weight * self.router.loss, name="loss")

    def _without_noise(self) -> dict[Tensor, Tensor]:
        # The same probabilities in fewer operations.
        probs = self.router.encoder.probs(self.router.outputs)
        return {**super()._without_noise(), self.probs: probs}

    @property
    def _trains_router(self) -> bool:
        """Whether the router is trained together with the experts."""
        return self.params["information_weight"] > 0

    # Training.

    @property
    def phases(self) -> dict[str, Tensor]:
        """Dict of phase to the loss that it minimises."""
        over, routing = self.router.phases.values()
        return {"over": over, "routing": routing, "loss": self.loss}

    def batch_size(self, phase: str) -> int:
        """Returns the number of examples in a batch of a phase."""
        return self.params["batch_size" if phase == "loss" else "routing_batch_size"]

    def rate_schedule(self, phase: str) -> Schedule:
        """Returns how a phase's learning rate changes: one cosine for the router, then constant."""
        if phase == "loss":
            return Schedule()
        # Not the router's own, whose epochs are others where there are no `routing_epochs`.
        before = self.params["pretrain_epochs"]
        n_epochs = before + self.params["routing_epochs"]
        return Schedule("cosine", n_epochs, before if phase == "routing" else 0)

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the router for the epochs that are left.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        self.router.pretrain(trainer, train_set)
        left = self.params["routing_epochs"] - trainer.epochs_done["routing"]
        if not trainer.stopped:
            trainer.fit(train_set, left, sample=False, phase="routing")

    def after_epoch(self, phase: str, session: Session, sums: list[np.ndarray]) -> None:
        """Groups the router's outputs anew, in the phases before the experts' own."""
        if phase != "loss":
            self.router.after_epoch(phase, session, sums[: len(self.router.batch_sums)])

    @property
    def _learns_to_route(self) -> bool:
        """Whether this run trains the router, so that there is a history of it."""
        epochs = self.params["pretrain_epochs"] + self.params["routing_epochs"]
        return epochs > 0 or self._trains_router

    @property
    def losses(self) -> dict[str, Tensor]:
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
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.expected_expert_loss, self.bound]

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow."""
        return self.router.batch_sums if self._learns_to_route else []

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch; its labels and targets are not used."""
        return self.router.feed(batch)


class LabelManager(Manager):
    """Experts of which each is trained on the images of one label; there is no manager to train.

    With y an image's label and L its experts' losses, p is 1 for expert y and 0 for the others:

        expected_expert_loss = mean over the batch of L_y
        loss                 = expected_expert_loss
        bound                = -expected_expert_loss - log(experts)

    So each expert is a VAE of its own digit, and the batches are the only thing that the experts
    share. `bound` is a lower bound on the mean of log p(x) with a uniform prior over the experts.

    A trained model reads no labels. It takes p(expert | x) to be proportional to exp(-L), computed
    at the experts' mean codes, so that `predict` returns the expert with the lowest loss.

    Attributes:
      labels: whole-number tensor [batch] in 0 to experts - 1.
      bound: scalar, in nats an image.
      And those of `Manager`, without `prob_sums` and `balancing_loss`; `probs` depends on `labels`.

    Args:
      params: dict; see `LABEL_PARAMS` for names and defaults.
      experts, images, shape: as for `Manager`; there are as many experts as labels.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.

    Source: post 3 argues with ten such VAEs, one for each digit, and does not train them.
    """

    defaults = LABEL_PARAMS

    def calc_probs(self, images: Tensor) -> Tensor:
        """Returns the labels as probabilities, float tensor [batch, experts]."""
        del images
        self.labels = tf.placeholder(tf.int32, [None], name="labels")
        return tf.one_hot(self.labels, self.n_columns)

    def _build_mixture_losses(self) -> None:
        with tf.name_scope("expected_expert_loss"):
            self.expected_expert_loss = tf.reduce_mean(
                tf.reduce_sum(self.probs * self.expert_losses, axis=1)
            )
        self.bound = log_likelihood_bound(self.probs, self.expert_losses)
        self.loss = self.expected_expert_loss
        self._posterior = tf.nn.softmax(-self.expert_losses)
        self._example_losses = tf.reduce_sum(self._posterior * self.expert_losses, axis=1)

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "expected_expert_loss": self.expected_expert_loss,
            "bound": self.bound,
            "loss": self.loss,
        }

    @property
    def batch_means(self) -> list[Tensor]:
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.expected_expert_loss, self.bound]

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow: none."""
        return []

    def feed(self, batch: Batch) -> dict[Tensor, Any]:
        """Returns the feed dict for a batch.

        Raises:
          DataError: the images have another type or shape than the model reads; there are no
            labels, or one has no expert.
        """
        if batch.labels is None:
            raise DataError("the data have no labels: routing 'labels' is trained on them")
        labels = check_labels(batch.labels, len(batch.images), self.n_columns)
        return {**super().feed(batch), self.labels: labels}

    def predict_proba(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns p(expert | image), proportional to exp(-L) at the experts' mean codes.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Float array [n, experts].
        """
        no_noise = np.zeros([len(inputs), self.params["z_dim"]], np.float32)
        feed = {self.images: self._check(inputs)}
        feed.update({expert.eps: no_noise for expert in self.experts})
        return run_in_chunks(session, self._posterior, feed)

    def _route_probs(self) -> Tensor:
        return self._posterior


class Routing(NamedTuple):
    """A way to route images to experts.

    Attributes:
      manager: the class of the manager.
      defaults: dict of all parameters of the mixture.
    """

    manager: type[Manager]
    defaults: dict[str, Any]


# The routings by the value of the parameter `routing`.
ROUTINGS: dict[str, Routing] = {
    "post": Routing(Manager, {**MIXTURE_OF_VAES_PARAMS, "routing": "post"}),
    "balanced": Routing(BalancedManager, BALANCED_PARAMS),
    "information": Routing(SpecialistManager, SPECIALIST_PARAMS),
    "labels": Routing(LabelManager, LABEL_PARAMS),
}


def mixture_of_vaes_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the defaults of a mixture of VAEs with the `routing` in `params`, or the post's.

    Raises:
      ParameterError: there is no such routing.
    """
    routing = params.get("routing", "post")
    check_choice("routing", routing, ROUTINGS)
    return ROUTINGS[routing].defaults


@builds_model
def build_mixture_of_vaes(params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE) -> Manager:
    """Builds the placeholder, the experts and the manager of a routing in the current graph.

    Args:
      params: dict as for `VAE` and, by its `routing`, for `Manager` ("post", the default),
        `BalancedManager` ("balanced"), `SpecialistManager` ("information") or `LabelManager`
        ("labels").
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      The manager; its `experts` are the VAEs.

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 3, cell 6, for the routing "post".
    """
    params = check_params(params, mixture_of_vaes_params(params))
    shared = vae_params(params)
    images, experts = build_experts(shared, shape)
    manager = ROUTINGS[params["routing"]].manager
    return manager(shared if manager is Manager else params, experts, images, shape)
