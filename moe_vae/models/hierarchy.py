"""A mixture whose experts are mixtures of VAEs: each expert draws a digit, each VAE a style."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import DataSet, Form, Shape
from moe_vae.model import Model, Signature, builds_model
from moe_vae.models.specialists import SPECIALIST_PARAMS, SpecialistManager, vae_params
from moe_vae.nn.cluster_encoder import CLOSED
from moe_vae.nn.layers import weighted_sum
from moe_vae.nn.losses import log_likelihood_bound
from moe_vae.nn.mutual_information import merge_by_information
from moe_vae.nn.networks import encoder_layers
from moe_vae.nn.sessions import run_in_chunks
from moe_vae.params import ParameterError, check_choice, check_params
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, VAE

__all__ = [
    "HIERARCHY_PARAMS",
    "HierarchicalMixture",
    "build_hierarchical_mixture",
    "group_styles",
]

HIERARCHY_PARAMS: dict[str, Any] = {
    **SPECIALIST_PARAMS,
    "n_styles": 3,
    "style_routing": "post",
    "manager_layers": MIXTURE_OF_VAES_PARAMS["manager_layers"],
    "balancing_weight": MIXTURE_OF_VAES_PARAMS["balancing_weight"],
}


def group_styles(joint: np.ndarray, groups: np.ndarray, n_styles: int) -> np.ndarray:
    """Groups the outputs of each group into styles, by `merge_by_information`.

    Args:
      joint: symmetric float array [n_outputs, n_outputs]; see `joint_probs`.
      groups: whole-number array [n_outputs]: the group of each output, from 0.
      n_styles: number of styles of a group; a group with fewer outputs has one style an output.

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

    The first manager is the `SpecialistManager`'s, p(k|x). The second reads the image as well and
    gives the styles' p(m|x, k) for each expert k. With L_km the losses of the VAEs,

        expected_expert_loss = mean over the batch of sum_k p(k|x) sum_m p(m|x, k) L_km
        style_balancing_loss = sum_k of the variance over m of sum_batch p(k|x) p(m|x, k)
        loss                 = the flat mixture's + balancing_weight * style_balancing_loss

    so the second level is the post's routing, once for each expert. With one style the losses are
    those of the flat mixture.

    The post's routing finds the styles that help the decoders most, which are slant and width. With
    the `style_routing` "information" a style is a group of the router's finer outputs instead. The
    router is trained to ignore small affine maps, so these styles differ in shape. `group_styles`
    makes the groups once, after the router's training. The loss is then the flat mixture's, and
    `manager_layers` and `balancing_weight` are not used.

    Attributes:
      experts: list with one list of `n_styles` `VAE`s for each expert.
      style_probs: float tensor [batch, experts, n_styles], p(m|x, k); the last axis sums to 1.
      style_losses: float tensor [batch, experts, n_styles], L_km, in nats.
      leaf_probs: float tensor [batch, experts * n_styles], p(k|x) p(m|x, k); rows sum to 1.
      style_balancing_loss: scalar.
      bound: scalar, as `SpecialistManager`'s over all VAEs.
      And those of `SpecialistManager`.

    Args:
      params: dict; see `HIERARCHY_PARAMS` for names and defaults.
      vaes: list with one list of `n_styles` `VAE`s for each expert.
      images, shape: as for `SpecialistManager`.

    Raises:
      ParameterError: a parameter is unknown or impossible, or a list has another length.
    """

    defaults = HIERARCHY_PARAMS

    def __init__(
        self,
        params: Mapping[str, Any],
        vaes: Sequence[Sequence[Any]],
        images: Tensor,
        shape: Shape = IMAGE_SHAPE,
    ) -> None:
        checked = check_params(params, self.defaults)
        check_choice("routing", checked["routing"], [self.defaults["routing"]])
        self.n_styles = checked["n_styles"]
        for group in vaes:
            if len(group) != self.n_styles:
                raise ParameterError(
                    f"an expert has {len(group)} VAEs: it must have 'n_styles', {self.n_styles}"
                )
        super().__init__(params, vaes, images, shape)

    def _calc_expert_losses(self) -> Tensor:
        with tf.name_scope("styles"):
            self.style_probs = self._calc_style_probs()
            self.style_losses = self._calc_style_losses()
            return tf.reduce_sum(self.style_probs * self.style_losses, axis=2)

    def _calc_style_probs(self) -> Tensor:
        with tf.variable_scope("style"):
            if not self._learns_styles:
                return self._calc_output_styles()
            h = encoder_layers(self.images, self.params, "manager", self.shape)
            logits = tf.layers.dense(h, self.n_columns * self.n_styles)
            return tf.nn.softmax(tf.reshape(logits, [-1, self.n_columns, self.n_styles]))

    def _calc_output_styles(self) -> Tensor:
        n_over = self.params["n_over_clusters"]
        evenly = np.eye(self.n_styles)[np.arange(n_over) // self.n_columns % self.n_styles]
        styles = tf.get_variable(
            "styles", initializer=tf.constant(evenly, tf.float32), trainable=False
        )
        self._styles = styles
        # The trainer finalises the graph, so the assignment must be built now.
        self._new_styles = tf.placeholder(tf.float32, [n_over, self.n_styles])
        self._assign_styles = tf.assign(styles, self._new_styles)
        in_style = self.router.encoder.groups[:, :, None] * styles[:, None, :]
        logits = self.router.outputs[:, :, None, None] + CLOSED * (1 - in_style)
        return tf.stop_gradient(tf.nn.softmax(tf.reduce_logsumexp(logits, axis=1)))

    def _calc_style_losses(self) -> Tensor:
        losses = [tf.stack([vae.loss for vae in group], axis=1) for group in self.experts]
        return tf.stack(losses, axis=1)

    def _build_mixture_losses(self) -> None:
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
    def _learns_styles(self) -> bool:
        return self.params["style_routing"] == "post"

    # Training.

    def pretrain(self, trainer: Any, train_set: DataSet) -> None:
        """Trains the router, then groups its finer outputs if they are the styles.

        Args:
          trainer: the `Trainer` of this model.
          train_set: a `DataSet`; its labels are not used.
        """
        super().pretrain(trainer, train_set)
        if not self._learns_styles and not trainer.stopped:
            joint = trainer.sum_over(train_set, self.router.output_joint)
            groups = self.router.encoder.assigned(trainer.session)
            styles = np.eye(self.n_styles)[group_styles(joint, groups, self.n_styles)]
            trainer.session.run(self._assign_styles, {self._new_styles: styles})

    @property
    def losses(self) -> dict[str, Tensor]:
        """Dict of name to scalar tensor: the losses that a history records."""
        balancing = {"style_balancing_loss": self.style_balancing_loss}
        return {**super().losses, **(balancing if self._learns_styles else {})}

    @property
    def batch_sums(self) -> list[Tensor]:
        """Tensors that are sums over the batch, from which the losses follow."""
        return [*super().batch_sums, *([self._style_sums] if self._learns_styles else [])]

    def generate_row(self, session: Session, z: np.ndarray) -> np.ndarray:
        """Draws one code with the first style of every expert; see `Model.generate_row`."""
        return Model.generate_row(self, session, z)

    # What a trained mixture can do.

    def generate(self, session: Session, z: np.ndarray, column: Any) -> np.ndarray:
        """Draws with the styles of one expert in turn: style i mod n_styles draws code i.

        Args:
          session: a session that holds trained variables.
          z: float array [n, z_dim].
          column: number of the expert, from 0.

        Returns:
          Float array [n, n_features].

        Raises:
          ParameterError: there is no such expert.
        """
        self._check_expert(column)
        drawn = np.empty([len(z), self.n_features], np.float32)
        for style in range(self.n_styles):
            turn = slice(style, None, self.n_styles)
            if len(z[turn]):
                drawn[turn] = self._draw(session, z[turn], column, style)
        return drawn

    def mean_codes(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns each image's mean code by its likeliest expert and style, float [n, z_dim]."""
        codes = np.empty([len(inputs), self.params["z_dim"]], np.float32)
        for rows, number, style in self._by_leaf(session, inputs):
            codes[rows] = self._mean_codes(session, inputs[rows], number, style)
        return codes

    def _by_leaf(
        self, session: Session, inputs: np.ndarray
    ) -> Iterator[tuple[np.ndarray, int, int]]:
        """Yields the rows, as booleans [n], that each expert and style is likeliest for."""
        experts, styles = self.predict_leaves(session, inputs)
        for number, style in sorted(set(zip(experts, styles, strict=True))):
            yield (experts == number) & (styles == style), number, style

    def _draw(self, session: Session, z: np.ndarray, expert: int, style: int) -> np.ndarray:
        vae = self.experts[expert][style]
        return run_in_chunks(session, vae.decoded_images, {vae.z: z})

    def _mean_codes(
        self, session: Session, images: np.ndarray, expert: int, style: int
    ) -> np.ndarray:
        vae = self.experts[expert][style]
        return run_in_chunks(session, vae.encoder_mu, {self.images: images})

    @property
    def _noises(self) -> list[Tensor]:
        return [vae.eps for group in self.experts for vae in group]

    def predict_leaves(self, session: Session, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns each image's likeliest expert and style, two whole-number arrays [n]."""
        probs = run_in_chunks(session, self.leaf_probs, {self.images: self._check(images)})
        return np.divmod(probs.argmax(axis=1), self.n_styles)

    def reconstruct(self, session: Session, inputs: np.ndarray) -> np.ndarray:
        """Returns the decoding of each image's mean code by its likeliest expert and style.

        Args:
          session: a session that holds trained variables.
          inputs: float32 array [n, n_features].

        Returns:
          Float array [n, n_features].
        """
        decoded = np.empty_like(inputs)
        for rows, number, style in self._by_leaf(session, inputs):
            codes = self._mean_codes(session, inputs[rows], number, style)
            decoded[rows] = self._draw(session, codes, number, style)
        return decoded

    def signatures(self) -> dict[str, Signature]:
        """Returns what an export can compute; see `Model.signatures`.

        "generate" has a third input, `style` [batch, n_styles], a 1 for the style in rows of 0.
        """
        return super().signatures()

    def _expert_results(self) -> tuple[Tensor, Tensor]:
        """Returns what each expert's likeliest style makes of the images."""
        by_expert = tf.reshape(self.leaf_probs, [-1, self.n_columns, self.n_styles])
        chosen = tf.one_hot(tf.argmax(by_expert, axis=2), self.n_styles)
        decodings = [
            weighted_sum(chosen[:, number], [vae.decoded_images for vae in group])
            for number, group in enumerate(self.experts)
        ]
        return tf.stack(decodings, axis=1), tf.reduce_sum(chosen * self.style_losses, axis=2)

    def _choices(self) -> tuple[list[VAE], Tensor]:
        return [vae for group in self.experts for vae in group], self.leaf_probs

    def _column_inputs(self) -> tuple[dict[str, Tensor], Tensor]:
        columns, column = super()._column_inputs()
        style = tf.placeholder(tf.float32, [None, self.n_styles], "style")
        by_leaf = [-1, self.n_columns * self.n_styles]
        weights = tf.expand_dims(column, 2) * tf.expand_dims(style, 1)
        return {**columns, "style": style}, tf.reshape(weights, by_leaf)

    def _without_noise(self) -> dict[Tensor, Tensor]:
        given = super()._without_noise()
        if self._learns_styles:
            return given
        # The same probabilities in fewer operations: sums over each style's finer outputs.
        groups = tf.expand_dims(self.router.encoder.groups, 2) * tf.expand_dims(self._styles, 1)
        by_leaf = tf.reshape(groups, [-1, self.n_columns * self.n_styles])
        return {**given, self.leaf_probs: tf.nn.softmax(self.router.outputs) @ by_leaf}


@builds_model
def build_hierarchical_mixture(
    params: Mapping[str, Any], shape: Shape = IMAGE_SHAPE
) -> HierarchicalMixture:
    """Builds the placeholder, the VAEs and their managers in the current graph.

    Args:
      params: dict as for `HierarchicalMixture`; each of the `n_experts` has `n_styles` VAEs.
      shape: (height, width) of the images, or (n_features,) of points.

    Returns:
      The `HierarchicalMixture`.

    Raises:
      ParameterError: a parameter is unknown or impossible.
    """
    params = check_params(params, HIERARCHY_PARAMS)
    shared = vae_params(params)
    images = tf.placeholder(tf.float32, [None, Form(shape).n_features], name="images")
    vaes = [
        [VAE(shared, images, shape) for _ in range(params["n_styles"])]
        for _ in range(params["n_experts"])
    ]
    return HierarchicalMixture(params, vaes, images, shape)
