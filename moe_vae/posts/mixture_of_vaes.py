"""Post 3: ten VAEs and a manager that learns, without labels, which of them an image goes to.

The post's `Manager` learns from the experts' losses alone. `SpecialistManager` learns first, and by
itself, to put views of one image together, which makes each expert draw one digit.
"""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.mnist import IMAGE_PIXELS, check_examples
from moe_vae.models.information_encoder import INFORMATION_PARAMS, InformationEncoder
from moe_vae.nn.layers import (
    activation_function,
    gaussian_code,
    gaussian_reconstruction_loss,
    hidden_layers,
    kl_to_standard_normal,
    reparametrise,
)
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params

__all__ = [
    "BALANCED_PARAMS",
    "MIXTURE_OF_VAES_PARAMS",
    "N_EXPERTS",
    "ROUTINGS",
    "SPECIALIST_PARAMS",
    "VAE",
    "BalancedManager",
    "Manager",
    "SpecialistManager",
    "build_mixture_of_vaes",
    "log_likelihood_bound",
    "mixture_of_vaes_params",
    "vae_params",
]

N_EXPERTS = 10

MIXTURE_OF_VAES_PARAMS = {
    "manager_layers": [128],
    "encoder_layers": [128],
    "decoder_layers": [128],
    "activation": "sigmoid",
    "output_activation": "sigmoid",
    "decoder_std": 0.5,
    "z_dim": 10,
    "balancing_weight": 0.1,
    "epochs": 100,
    "batch_size": 100,
    "learning_rate": 0.001,
}

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

# Graph collection in which each VAE leaves its number, so that every graph counts from 0.
_VAE_COLLECTION = "moe_vae/vae"


class VAE:
    """One expert: a variational autoencoder with its own encoder and decoder.

    With x an image, x' its decoding and sigma the `decoder_std`:

        q(z|x) = N(encoder_mu, encoder_var),  x' = decoder(z)
        loss   = -log N(x; x', sigma) + KL(q(z|x) || N(0, I)),  for each image, in nats

    The variables stand in the scopes `encode_{id}` and `decode_{id}`; instances count from 0 in
    each graph.

    Attributes:
      encoder_mu, encoder_var, eps, z: float tensors [batch, z_dim]; `eps` and `z` may be fed.
      decoded_images: float tensor [batch, n_features]; by the post in (0, 1), as images are.
      loss: float tensor [batch].

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      images: float tensor [batch, n_features], of the post's 784 pixels in [0, 1] or of anything
        else, for which `output_activation` can be "linear".

    Raises:
      ParameterError: a parameter is unknown or impossible.

    Source: post 3, cell 4.
    """

    def __init__(self, params, images):
        self.params = check_params(params, MIXTURE_OF_VAES_PARAMS)
        self.n_features = int(images.shape[1])
        self.id = len(tf.get_collection(_VAE_COLLECTION))
        tf.add_to_collection(_VAE_COLLECTION, self.id)

        with tf.name_scope(f"expert_{self.id}"):
            self.encoder_mu, self.encoder_var = self.encode(images)
            self.eps, self.z = reparametrise(self.encoder_mu, self.encoder_var)
            self.decoded_images = self.decode(self.z)
            reconstruction = gaussian_reconstruction_loss(
                images, self.decoded_images, self.params["decoder_std"]
            )
            prior = kl_to_standard_normal(self.encoder_mu, self.encoder_var)
            self.loss = tf.add(reconstruction, prior, name="loss")

    def encode(self, images):
        """Returns `mu` and `var` [batch, z_dim] of q(z|x); the weights are shared by all calls."""
        with tf.variable_scope(f"encode_{self.id}", reuse=tf.AUTO_REUSE):
            h = hidden_layers(images, self.params["encoder_layers"], self.params["activation"])
            return gaussian_code(h, self.params["z_dim"])

    def decode(self, z):
        """Returns the image [batch, n_features] of a code; the weights are shared by all calls."""
        with tf.variable_scope(f"decode_{self.id}", reuse=tf.AUTO_REUSE):
            h = hidden_layers(z, self.params["decoder_layers"], self.params["activation"])
            activation = activation_function(self.params["output_activation"])
            return tf.layers.dense(h, self.n_features, activation=activation)


class Manager:
    """The manager: sends each image to the experts, and learns from how well they did.

    With L [batch, experts] the experts' losses and p [batch, experts] the manager's output:

        expected_expert_loss = mean over the batch of sum_experts p * L
        balancing_loss       = variance over the experts of sum_batch p
        loss                 = expected_expert_loss + balancing_weight * balancing_loss

    `balancing_loss` sums over the batch before it squares: on 55,000 images it is of the order
    of 1e5 to 1e6, on a batch of 100 of the order of 1.

    Attributes:
      probs: float tensor [batch, experts]; rows sum to 1.
      expert_losses: float tensor [batch, experts].
      prob_sums: float tensor [experts], the sum of `probs` over the batch.
      expected_expert_loss, balancing_loss, loss: scalar tensors.
      n_columns: number of pictures in a row, one an expert.
      n_features: number of columns of `images`.

    Args:
      params: dict; see `MIXTURE_OF_VAES_PARAMS` for names and defaults.
      experts: list of `VAE`, all on `images`.
      images: float tensor [batch, n_features], as for `VAE`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or there is no expert.

    Source: post 3, cell 5.
    """

    defaults = MIXTURE_OF_VAES_PARAMS

    def __init__(self, params, experts, images):
        self.params = check_params(params, self.defaults)
        if not experts:
            raise ParameterError("experts is empty: it must hold at least one VAE")
        self.experts = list(experts)
        self.n_columns = len(self.experts)
        self.n_features = int(images.shape[1])
        self.images = images

        with tf.name_scope("manager"):
            self.probs = self.calc_probs(images)
            self.expert_losses = self._calc_expert_losses()
            self._build_mixture_losses()

    def calc_probs(self, images):
        """Returns p(expert | image), float tensor [batch, experts]; calls share their weights."""
        with tf.variable_scope("prob", reuse=tf.AUTO_REUSE):
            h = hidden_layers(images, self.params["manager_layers"], self.params["activation"])
            logits = tf.layers.dense(h, len(self.experts))
            return tf.nn.softmax(logits)

    def _calc_expert_losses(self):
        return tf.stack([expert.loss for expert in self.experts], axis=1)

    def _build_mixture_losses(self):
        with tf.name_scope("expected_expert_loss"):
            self.expected_expert_loss = tf.reduce_mean(
                tf.reduce_sum(self.probs * self.expert_losses, axis=1)
            )
        with tf.name_scope("balancing_loss"):
            self.prob_sums = tf.reduce_sum(self.probs, axis=0)
            self.balancing_loss = self._calc_balancing_loss()
        self.loss = tf.add(
            self.expected_expert_loss,
            self.params["balancing_weight"] * self.balancing_loss,
            name="loss",
        )

    def _calc_balancing_loss(self):
        return tf.math.reduce_variance(self.prob_sums)

    # What the training loop needs of a model.

    @property
    def losses(self):
        """Dict of name to scalar tensor: the losses that a history records."""
        return {
            "expected_expert_loss": self.expected_expert_loss,
            "balancing_loss": self.balancing_loss,
            "loss": self.loss,
        }

    @property
    def batch_means(self):
        """Tensors that are means over the batch, from which the losses follow."""
        return [self.expected_expert_loss]

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow."""
        return [self.prob_sums]

    def feed(self, images, labels):
        """Returns the feed dict for a batch; the labels are not used."""
        del labels
        return {self.images: images}

    def generate_row(self, session, z):
        """Lets every expert draw one and the same code.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim].

        Returns:
          Float array [experts, n_features].

        Source: post 3, cell 7.
        """
        drawn = session.run(
            [expert.decoded_images for expert in self.experts],
            {expert.z: z for expert in self.experts},
        )
        return np.concatenate(drawn)

    # What can be done with a trained model.

    def generate(self, session, z, expert):
        """Lets one expert draw.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim].
          expert: number of the expert, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such expert.
        """
        self._check_expert(expert)
        return run_in_chunks(
            session, self.experts[expert].decoded_images, {self.experts[expert].z: z}
        )

    def _check_expert(self, expert):
        if not 0 <= expert < self.n_columns:
            raise ParameterError(f"expert is {expert}: it must be in 0 to {self.n_columns - 1}")

    def predict_proba(self, session, images):
        """Returns p(expert | image), float array [n, experts], of float32 [n, n_features]."""
        return run_in_chunks(
            session, self.probs, {self.images: check_examples(images, self.n_features)}
        )

    def predict(self, session, images):
        """Returns each image's likeliest expert, whole-number array [n]."""
        return self.predict_proba(session, images).argmax(axis=1)

    def reconstruct(self, session, images):
        """Returns, by each image's likeliest expert, the decoding of its mean code.

        Args:
          session: a session that holds trained variables.
          images: float32 array [n, n_features].

        Returns:
          Float array [n, n_features].
        """
        chosen = self.predict(session, images)
        decoded = np.empty_like(images)
        for number in np.unique(chosen):
            rows, expert = chosen == number, self.experts[number]
            no_noise = np.zeros([rows.sum(), self.params["z_dim"]], np.float32)
            decoded[rows] = run_in_chunks(
                session, expert.decoded_images, {self.images: images[rows], expert.eps: no_noise}
            )
        return decoded


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


def log_likelihood_bound(probs, losses):
    """Computes the mean over the batch of -sum_k p_k L_k - KL(p || uniform), in nats.

    With -L_k a bound on log p(x | k) it is one on log p(x), whatever p is.

    Args:
      probs: float tensor [batch, n], p; rows sum to 1.
      losses: float tensor [batch, n], L.
    """
    with tf.name_scope("bound"):
        kl = tf.reduce_sum(tf.math.xlogy(probs, probs), axis=1) + np.log(int(probs.shape[1]))
        return -tf.reduce_mean(tf.reduce_sum(probs * losses, axis=1) + kl)


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
