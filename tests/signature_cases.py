"""Small models of every kind, and what each of their signatures must return."""

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.experiments.registry import builder, default_params
from moe_vae.experiments.sources import SOURCES
from moe_vae.models.gates import GATES
from moe_vae.models.vade import VaDE

COLUMN = 1  # that `generate` draws
SMALL = {
    "n_experts": 2,
    "encoder_layers": [8],
    "decoder_layers": [8],
    "digit_classification_layers": [8],
    "manager_layers": [8],
    "cluster_encoder_layers": [8],
    "gate_layers": [8],
    "n_over_clusters": 20,
    "n_samples": 2,
    "z_dim": 3,
}
# With convolutions, each with batch normalisation.
CONV = {
    "network": "conv",
    "encoder_filters": [4, 5],
    "encoder_kernels": [3, 2],
    "encoder_normalise": True,
    "decoder_filters": [5, 4],
    "decoder_kernels": [2, 3],
    "decoder_normalise": True,
    "manager_normalise": True,
    "digit_classification_normalise": True,
    "gate_normalise": True,
    "normalise": True,
    "cluster_encoder_filters": [4, 5, 6],
}
CONV_SHAPE = (12, 9)
# Name of the case: the model and its parameters.
CASES = {
    "conditional-vae": ("conditional-vae", {}),
    "mixture-of-vaes": ("mixture-of-vaes", {}),
    "balanced": ("mixture-of-vaes", {"routing": "balanced"}),
    "specialists": ("mixture-of-vaes", {"routing": "information"}),
    "labels": ("mixture-of-vaes", {"routing": "labels"}),
    "hierarchy": ("hierarchy", {}),
    "hierarchy by information": ("hierarchy", {"style_routing": "information"}),
    "information": ("information", {}),
    "vae": ("vae", {}),
    "gaussian vae": ("vae", {"likelihood": "gaussian", "decoder_variance": "learned"}),
    "vade": ("vade", {}),
    "dmvae": ("dmvae", {}),
    **{f"moe {gate}": ("moe", {"gate": gate, "n_outputs": 2}) for gate in GATES},
    "moe full": ("moe", {"gate": "gmm", "covariance": "full"}),
    "conv conditional-vae": ("conditional-vae", CONV),
    "conv mixture-of-vaes": ("mixture-of-vaes", CONV),
    "conv specialists": ("mixture-of-vaes", {**CONV, "routing": "information"}),
    "conv hierarchy": ("hierarchy", CONV),
    "conv information": ("information", CONV),
    "conv vade": ("vade", CONV),
    "conv dmvae": ("dmvae", CONV),
    "conv moe": ("moe", {**CONV, "gate": "deep", "n_outputs": 2}),
    "conv gaussian vae": (
        "vae",
        {**CONV, "likelihood": "gaussian", "decoder_variance": "learned"},
    ),
    "moe classes": ("moe", {"gate": "dmvae", "task": "classification", "n_outputs": 4}),
}


def build_and_params(name):
    """Returns the builder of a case, and its parameters."""
    model, given = CASES[name]
    defaults = default_params(model, SOURCES["mnist"].form, given)
    small = {key: value for key, value in {**SMALL, **given}.items() if key in defaults}
    return builder(model, shape_of(name)), small


def shape_of(name):
    """Returns the shape of a case's examples."""
    return CONV_SHAPE if name.startswith("conv ") else IMAGE_SHAPE


def some_variables(build, params):
    """Returns values for all variables: the initial ones, changed a little."""
    random = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        build(params)
        session.run(tf.global_variables_initializer())
        values = {each.op.name: session.run(each) for each in tf.global_variables()}
    return {name: _changed(name, value, random) for name, value in values.items()}


def _changed(name, value, random):
    if name.endswith(("groups", "styles")):  # one-hot rows
        return random.permutation(value)
    if name.endswith("precision_factors"):  # triangular
        return value
    # Wide enough that a router sends the examples of a batch to different experts.
    std = 0.3 if "encode_cluster" in name or name.startswith("prob/") else 0.05
    noise = random.normal(0, std, value.shape)
    return (value + (np.abs(noise) if "variance" in name else noise)).astype(np.float32)


def some_inputs(model, n_examples):
    """Returns the arrays that signatures read, by the name of the input."""
    random = np.random.default_rng(n_examples)
    one_hot = np.zeros([n_examples, model.n_columns], np.float32)
    one_hot[:, min(COLUMN, model.n_columns - 1)] = 1
    styles = np.eye(model.n_styles, dtype=np.float32)[np.arange(n_examples) % model.n_styles]
    return {
        "inputs": random.random([n_examples, model.n_features]).astype(np.float32),
        "z": random.standard_normal([n_examples, SMALL["z_dim"]]).astype(np.float32),
        "column": one_hot,
        "style": styles,
    }


def expected_output(model, session, signature, arrays):
    """Returns what a model's own method returns for a signature's inputs."""
    inputs, gate = arrays["inputs"], getattr(model, "gate", model)
    if isinstance(gate, VaDE) and signature in ("route", "predict"):
        no_noise = np.zeros([len(inputs), gate.params["n_samples"], SMALL["z_dim"]])
        feed = {gate.inputs: inputs, gate.eps_samples: no_noise}
        if signature == "predict":
            return session.run(model.predicted, feed)
        return np.exp(session.run(gate.predicted_log_probs, feed))
    methods = {
        "route": model.predict_gate if gate is not model else model.predict_proba,
        "encode": model.mean_codes,
        "reconstruct": model.reconstruct,
        "predict": getattr(model, "predict_mean", None),
    }
    if signature == "generate":
        return model.generate(session, arrays["z"], min(COLUMN, model.n_columns - 1))
    return methods[signature](session, inputs)
