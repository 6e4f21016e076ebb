"""The seeds of the initial values: one seed of a training goes on giving the weights it gave."""

import json
from pathlib import Path

import pytest

from moe_vae.compat import tf
from moe_vae.experiments.registry import MODELS
from moe_vae.models.gates import GATES

RECORDED = json.loads((Path(__file__).parents[1] / "recorded" / "initial_seeds.json").read_text())
CASES = {
    **{name: (name, {}) for name in MODELS if name != "moe"},
    **{f"moe {gate}": ("moe", {"gate": gate}) for gate in GATES},
}


def random_seed(tensor):
    """Returns the seed of the random operation that `tensor` is computed from, or None."""
    if "seed2" in tensor.op.node_def.attr:
        return tensor.op.get_attr("seed2")
    seeds = {random_seed(each) for each in tensor.op.inputs} - {None}
    assert len(seeds) <= 1
    return seeds.pop() if seeds else None


def initial_seeds(name, params):
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        MODELS[name].build(params)
        seeds = {
            variable.op.name: random_seed(variable.initializer.inputs[1])
            for variable in tf.global_variables()
        }
    return {name: seed for name, seed in seeds.items() if seed is not None}


@pytest.mark.parametrize("case", CASES)
def test_initial_values_keep_their_seeds(case):
    if case not in RECORDED:
        pytest.skip("a new model: no seeds are recorded")
    assert initial_seeds(*CASES[case]) == RECORDED[case]
