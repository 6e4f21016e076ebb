"""What TensorFlow 1.15 computed with the posts' graphs, and how to put its weights into ours."""

from pathlib import Path

import numpy as np

from moe_vae.compat import tf

DATA = Path(__file__).parent / "recorded"
LOSS_TOLERANCE = 1e-6  # relative
WEIGHT_TOLERANCE = 1e-4  # absolute


def load_trace(name):
    with np.load(DATA / name) as trace:
        return dict(trace)


def weights_in(trace, moment):
    """The weights of a trace at "initial" or "final", by variable name."""
    prefix = f"{moment}/"
    return {key.removeprefix(prefix): trace[key] for key in trace if key.startswith(prefix)}


def assign_weights(session, weights):
    """Sets every trainable variable; the names must be the graph's, all of them."""
    variables = {variable.op.name: variable for variable in tf.trainable_variables()}
    assert set(variables) == set(weights)
    for name, value in weights.items():
        variables[name].load(value, session)


def assert_weights_close(session, weights):
    for variable in tf.trainable_variables():
        np.testing.assert_allclose(
            session.run(variable),
            weights[variable.op.name],
            rtol=0,
            atol=WEIGHT_TOLERANCE,
            err_msg=variable.op.name,
        )


def train_and_compare(session, step, recorded, feed, trace, steps, tolerances=None):
    """Takes Adam steps on a trace's batches; what stood before each must be as recorded.

    `recorded` is a dict of name to tensor, `feed` a function of the step's number, `tolerances` a
    dict of name to the tolerances of those that are not losses.
    """
    for i in steps:
        for name, value in session.run(recorded, feed(i)).items():
            tolerance = (tolerances or {}).get(name, {"rtol": LOSS_TOLERANCE})
            np.testing.assert_allclose(
                value, trace[f"expected/{name}"][i], err_msg=name, **tolerance
            )
        session.run(step, feed(i))
