"""A mixture whose experts are mixtures of VAEs themselves: an expert a digit, a VAE a style."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS, check_images
from moe_vae.models.specialists import SPECIALIST_PARAMS, SpecialistManager, vae_params
from moe_vae.nn.cluster_encoder import CLOSED
from moe_vae.nn.layers import hidden_layers
from moe_vae.nn.losses import log_likelihood_bound
from moe_vae.nn.mutual_information import merge_by_information
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_params
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, N_EXPERTS, VAE

__all__ = [
    "HIERARCHY_PARAMS",
    "HierarchicalMixture",
    "build_hierarchical_mixture",
    "group_styles",
]

HIERARCHY_PARAMS = {
    **SPECIALIST_PARAMS,
    "n_styles": 3,
    "style_routing": "post",
    "manager_layers": MIXTURE_OF_VAES_PARAMS["manager_layers"],
    "balancing_weight": MIXTURE_OF_VAES_PARAMS["balancing_weight"],
}


def group_styles(joint, groups, n_styles):
    """Puts the outputs of each group together into styles, by `merge_by_information`.

    Args:
      joint: symmetric float array [n_outputs, n_outputs]; see `joint_probs`.
      groups: whole-number array [n_outputs]: the group of each output, from 0.
      n_styles: how many styles a group is to have; one of fewer outputs has one for each.

    Returns:
      Whole-number array [n_outputs] in 0 to n_styles - 1: the style of each output in its group.
    """
    styles = np.empty(len(groups), int)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        styles[own] = merge_by_information(joint[np.ix_(own, own)], min(n_styles, len(own)))
    return styles


class HierarchicalMixture(SpecialistManager):
    """Experts that are mixtures of VAEs, with a manager on each of two levels.

    The first manager is the `SpecialistManager`'s, p(k|x). The second reads an image, too, and
    gives for each expert k the styles' p(m|x, k). With L_km the VAEs' losses, level by level,

        expected_expert_loss = mean over the batch of sum_k p(k|x) sum_m p(m|x, k) L_km
        style_balancing_loss = sum_k of the variance over m of sum_batch p(k|x) p(m|x, k)
        loss                 = the flat mixture's + balancing_weight * style_balancing_loss

    so that the second level is the post's routing, for each expert. With one style it is the flat
    mixture: the same losses, and no choice to learn.

    That routing learns what saves the decoders most, which is slant and width. With the
    `style_routing` "information" a style is a group of the router's finer outputs instead: what two
    views of an image have in common beside the digit, which is trained to be nothing that a small
    affine map changes. `group_styles` makes the groups once the router is trained, and nobody
    learns them after that: the loss is the flat mixture's, and neither `manager_layers` nor
    `balancing_weight` has a part in it.

    Attributes:
      experts: list, an entry for each expert, of lists of `n_styles` `VAE`s.
      style_probs: float tensor [batch, experts, n_styles], p(m|x, k); the last axis sums to 1.
      style_losses: float tensor [batch, experts, n_styles], L_km, in nats.
      leaf_probs: float tensor [batch, experts * n_styles], p(k|x) p(m|x, k); rows sum to 1.
      style_balancing_loss: scalar.
      bound: scalar, as `SpecialistManager`'s over all VAEs.
      And those of `SpecialistManager`.

    Args:
      params: dict; see `HIERARCHY_PARAMS` for names and defaults.
      vaes: list, an entry for each expert, of lists of `n_styles` `VAE`s.
      images: float tensor [batch, 784] in [0, 1].

    Raises:
      ParameterError: a parameter is unknown or impossible, or a list has another length.
    """

    defaults = HIERARCHY_PARAMS

    def __init__(self, params, vaes, images):
        self.n_styles = check_params(params, self.defaults)["n_styles"]
        for group in vaes:
            if len(group) != self.n_styles:
                raise ParameterError(
                    f"an expert has {len(group)} VAEs: it must have 'n_styles', {self.n_styles}"
                )
        super().__init__(params, vaes, images)

    def _calc_expert_losses(self):
        with tf.name_scope("styles"):
            self.style_probs = self._calc_style_probs()
            self.style_losses = self._calc_style_losses()
            return tf.reduce_sum(self.style_probs * self.style_losses, axis=2)

    def _calc_style_probs(self):
        with tf.variable_scope("style"):
            if not self._learns_styles:
                return self._calc_output_styles()
            h = hidden_layers(self.images, self.params["manager_layers"], self.params["activation"])
            logits = tf.layers.dense(h, self.n_columns * self.n_styles)
            return tf.nn.softmax(tf.reshape(logits, [-1, self.n_columns, self.n_styles]))

    def _calc_output_styles(self):
        n_over = self.params["n_over_clusters"]
        evenly = np.eye(self.n_styles)[np.arange(n_over) // self.n_columns % self.n_styles]
        styles = tf.get_variable(
            "styles", initializer=tf.constant(evenly, tf.float32), trainable=False
        )
        # A finalised graph takes no new operation, so the assignment is there already.
        self._new_styles = tf.placeholder(tf.float32, [n_over, self.n_styles])
        self._assign_styles = tf.assign(styles, self._new_styles)
        in_style = self.router.encoder.groups[:, :, None] * styles[:, None, :]
        logits = self.router.outputs[:, :, None, None] + CLOSED * (1 - in_style)
        return tf.stop_gradient(tf.nn.softmax(tf.reduce_logsumexp(logits, axis=1)))

    def _calc_style_losses(self):
        losses = [tf.stack([vae.loss for vae in group], axis=1) for group in self.experts]
        return tf.stack(losses, axis=1)

    def _build_mixture_losses(self):
        super()._build_mixture_losses()
        joint = self._routed[:, :, None] * self.style_probs
        by_leaf = [-1, self.n_columns * self.n_styles]
        self.leaf_probs = tf.reshape(joint, by_leaf)
        self.bound = log_likelihood_bound(self.leaf_probs, tf.reshape(self.style_losses, by_leaf))
        with tf.name_scope("style_balancing_loss"):
            self._style_sums = tf.reduce_sum(joint, axis=0)
            self.style_balancing_loss = tf.reduce_sum(
                tf.math.reduce_variance(self._style_sums, axis=1)
            )
        if self._learns_styles:
            weighted = self.params["balancing_weight"] * self.style_balancing_loss
            self.loss = tf.add(self.loss, weighted, name="loss_of_both_levels")

    @property
    def _learns_styles(self):
        return self.params["style_routing"] == "post"

    # What the training loop needs of a model.

    def pretrain(self, trainer, train_set):
        """Trains the router, and then groups its finer outputs, if they are the styles.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        super().pretrain(trainer, train_set)
        if not self._learns_styles and not trainer.interrupted:
            joint = trainer.sum_over(train_set, self.router.output_joint)
            groups = self.router.encoder.assigned(trainer.session)
            styles = np.eye(self.n_styles)[group_styles(joint, groups, self.n_styles)]
            trainer.session.run(self._assign_styles, {self._new_styles: styles})

    @property
    def losses(self):
        """Dict of name to scalar tensor: the losses that a history records."""
        balancing = {"style_balancing_loss": self.style_balancing_loss}
        return {**super().losses, **(balancing if self._learns_styles else {})}

    @property
    def batch_sums(self):
        """Tensors that are sums over the batch, from which the losses follow."""
        return [*super().batch_sums, *([self._style_sums] if self._learns_styles else [])]

    def generate_row(self, session, z):
        """Lets the first style of every expert draw one and the same code.

        Args:
          session: a session that holds trained variables.
          z: float array [1, z_dim].

        Returns:
          Float array [experts, 784].
        """
        return np.concatenate(
            [self.generate(session, z, number) for number in range(self.n_columns)]
        )

    # What can be done with a trained model.

    def generate(self, session, z, expert):
        """Lets the styles of one expert draw, in turn: code i is drawn by style i mod n_styles.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim].
          expert: number of the expert, from 0.

        Returns:
          Float array [n, 784] in (0, 1).

        Raises:
          ParameterError: there is no such expert.
        """
        self._check_expert(expert)
        drawn = np.empty([len(z), IMAGE_PIXELS], np.float32)
        for style in range(self.n_styles):
            turn = slice(style, None, self.n_styles)
            if len(z[turn]):
                drawn[turn] = self._draw(session, z[turn], expert, style)
        return drawn

    def _draw(self, session, z, expert, style):
        vae = self.experts[expert][style]
        return run_in_chunks(session, vae.decoded_images, {vae.z: z})

    def _mean_codes(self, session, images, expert, style):
        vae = self.experts[expert][style]
        return run_in_chunks(session, vae.encoder_mu, {self.images: images})

    def predict_leaves(self, session, images):
        """Returns each image's likeliest expert and style, two whole-number arrays [n]."""
        probs = run_in_chunks(session, self.leaf_probs, {self.images: check_images(images)})
        return np.divmod(probs.argmax(axis=1), self.n_styles)

    def reconstruct(self, session, images):
        """Returns, by each image's likeliest expert and style, the decoding of its mean code.

        Args:
          session: a session that holds trained variables.
          images: float32 array [n, 784] in [0, 1].

        Returns:
          Float array [n, 784] in (0, 1).
        """
        experts, styles = self.predict_leaves(session, images)
        decoded = np.empty_like(images)
        for number, style in sorted(set(zip(experts, styles, strict=True))):
            rows = (experts == number) & (styles == style)
            codes = self._mean_codes(session, images[rows], number, style)
            decoded[rows] = self._draw(session, codes, number, style)
        return decoded


def build_hierarchical_mixture(params, n_experts=N_EXPERTS):
    """Builds the placeholder, the VAEs and their managers in the current graph.

    Args:
      params: dict as for `HierarchicalMixture`.
      n_experts: number of experts, at least 1, each of `n_styles` VAEs.

    Returns:
      The `HierarchicalMixture`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = check_params(params, HIERARCHY_PARAMS)
    shared = vae_params(params)
    images = tf.placeholder(tf.float32, [None, IMAGE_PIXELS], name="images")
    vaes = [[VAE(shared, images) for _ in range(params["n_styles"])] for _ in range(n_experts)]
    return HierarchicalMixture(params, vaes, images)
