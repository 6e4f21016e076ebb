"""What a GPU would do, as far as a machine without one can tell.

TensorFlow's package for Linux has its GPU kernels registered whether or not there is a GPU.
"""

import functools

import pytest
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.engines.compiled import CompiledTrainer
from moe_vae.experiments.registry import MODELS, builder, engines_of
from moe_vae.nn.sessions import session_config
from moe_vae.training.trainer import start_trainer

pytestmark = pytest.mark.engines

# Checkpoints are read and written by the CPU, once a run.
OF_CHECKPOINTS = ("save/", "SaveV2", "RestoreV2", "checkpoint_path")
EXPERTS = ("mixture-of-vaes", "hierarchy")


@functools.cache
def gpu_kernels(op_type, devices=("GPU", "DEFAULT")):
    kernels = get_registered_kernels_for_op(op_type).kernel
    return [kernel for kernel in kernels if kernel.device_type in devices]


def has_gpu_kernel(op):
    return any(
        all(takes(op, constraint) for constraint in kernel.constraint)
        for kernel in gpu_kernels(op.type)
    )


def takes(op, constraint):
    try:
        value = op.get_attr(constraint.name)
    except ValueError:  # a constraint on what this operation has not
        return True
    types = value if isinstance(value, list) else [value]
    allowed = constraint.allowed_values.list.type
    return not allowed or all(of_op.as_datatype_enum in allowed for of_op in types)


@pytest.mark.skipif(not gpu_kernels("MatMul"), reason="this TensorFlow has no GPU kernels")
@pytest.mark.parametrize(
    ("name", "engine"), [(name, engine) for name in MODELS for engine in engines_of(name)]
)
def test_a_gpu_can_do_all_of_a_training_and_no_operation_is_kept_from_it(name, engine):
    few = {"n_experts": 2} if name in EXPERTS else {}
    trainer = start_trainer(builder(name, IMAGE_SHAPE, engine), few, 0)
    graph = trainer.session.graph
    ops = [op for op in graph.get_operations() if not op.name.startswith(OF_CHECKPOINTS)]
    assert len(ops) > 300
    assert [op.name for op in ops if not has_gpu_kernel(op)] == []
    assert [op.name for op in ops if op.device] == []
    # What XLA compiles stands in functions.
    nodes = [node for f in graph.as_graph_def().library.function for node in f.node_def]
    assert bool(nodes) == isinstance(trainer, CompiledTrainer)
    lacking = {node.op for node in nodes if not gpu_kernels(node.op, ("XLA_GPU_JIT",))}
    assert lacking == set()
    assert [node.name for node in nodes if node.device] == []


def test_an_operation_that_no_gpu_does_is_found():
    with tf.Graph().as_default():
        op = tf.strings.length(tf.placeholder(tf.string, [None])).op
    assert not has_gpu_kernel(op)


def test_a_session_takes_a_gpus_memory_as_it_needs_it():
    assert session_config().gpu_options.allow_growth


def test_products_are_in_single_precision_unless_asked_otherwise():
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
