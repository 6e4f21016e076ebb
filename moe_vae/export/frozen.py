"""Frozen graphs: a trained model's signatures without training, noise and variables.

Every export is made of them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from moe_vae.compat import Session, Tensor, tf
from moe_vae.model import Model, ModelError, Signature
from moe_vae.nn.sessions import open_session, run_in_chunks

__all__ = [
    "OUTPUTS",
    "Build",
    "FrozenGraph",
    "build_model",
    "compute",
    "freeze",
    "read_checkpoint",
]

# A function of parameters that builds a model in the current graph.
Build = Callable[[Mapping[str, Any]], Model]

# What the result of a signature is called.
OUTPUTS = {
    "route": "probabilities",
    "encode": "codes",
    "reconstruct": "examples",
    "generate": "examples",
    "predict": "predictions",
    "compare": "decodings",
    "measure": "losses",
}

# Operations that pass their first input on when nothing is trained. The first input of a "Merge" is
# what a condition's second function returned; the only condition is that of `is_training`.
_PASSING = (
    "Identity",
    "StopGradient",
    "PlaceholderWithDefault",
    "Snapshot",
    "PreventGradient",
    "Switch",
    "Merge",
)
_NORMALISATION = "FusedBatchNormV3"
_VARIABLE = "VariableV2"


class FrozenGraph(NamedTuple):
    """One signature as a graph of constants.

    Attributes:
      graph_def: a `tf.GraphDef`, its nodes in the order in which they can be computed. The nodes
        without inputs come first: a placeholder for each input, and constants.
      inputs: names of the placeholders.
      output: name of the last node.
      shapes: dict of a node's name to its shape, a list with None for the batch.
      variables: names of the constants that were variables.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    output: str
    shapes: dict[str, list[int | None]]
    variables: tuple[str, ...]


def read_checkpoint(
    build: Build, params: Mapping[str, Any], path: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a model's own variables from a checkpoint, which has its optimiser's as well.

    Args:
      build: function of the parameters that builds the model in the current graph.
      params: the model's parameters.
      path: a checkpoint that `Trainer.save` wrote, with any engine.

    Returns:
      All parameters of the model, and a dict of a variable's name to its value.

    Raises:
      tf.errors.OpError: the checkpoint cannot be read, or lacks a variable.
      ModelError: a variable has another shape.
    """
    reader = tf.train.load_checkpoint(str(path))
    with tf.Graph().as_default():
        model = build(params)
        variables = tf.global_variables()
    values = {each.op.name: reader.get_tensor(each.op.name) for each in variables}
    _check_variables(values, variables)
    return model.params, values


def build_model(
    build: Build, params: Mapping[str, Any], variables: Mapping[str, np.ndarray]
) -> tuple[Model, Session]:
    """Builds a model in a graph of its own and gives its variables their values.

    Args:
      build: function of the parameters that builds the model in the current graph.
      params: the model's parameters.
      variables: dict of a variable's name to its value.

    Returns:
      The model and a session on its graph.

    Raises:
      ModelError: a variable is missing, unknown, or of another shape.
    """
    with tf.Graph().as_default() as graph:
        model = build(params)
        own = tf.global_variables()
        _check_variables(variables, own)
        session = open_session(graph)
        # The values take the place of the initial ones, all in one run.
        values = {each.initializer.inputs[1]: variables[each.op.name] for each in own}
        session.run([each.initializer for each in own], values)
    return model, session


def _check_variables(values: Mapping[str, np.ndarray], variables: list[Any]) -> None:
    shapes = {variable.op.name: tuple(variable.shape.as_list()) for variable in variables}
    for name in sorted(shapes.keys() ^ values.keys()):
        fault = "is missing" if name in shapes else "is not one of the model's"
        raise ModelError(f"variable {name!r} {fault}")
    for name, shape in shapes.items():
        if values[name].shape != shape:
            raise ModelError(
                f"variable {name!r} has shape {list(values[name].shape)}: it must be {list(shape)}"
            )


def freeze(
    build: Build,
    params: Mapping[str, Any],
    variables: Mapping[str, np.ndarray],
    listed: Callable[[Model], dict[str, Signature]] = lambda model: model.signatures(),
) -> dict[str, FrozenGraph]:
    """Builds a model and freezes its signatures.

    Args:
      build, params, variables: as for `build_model`, whose errors it raises too.
      listed: function of the model that returns what to freeze, by name.

    Returns:
      Dict of a signature's name to its `FrozenGraph`.

    Raises:
      ModelError: the model has no signatures, or one reads what only a training has.
    """
    with tf.Graph().as_default():
        model = build(params)
        _check_variables(variables, tf.global_variables())
        signatures = listed(model)
        if not signatures:
            raise ModelError(f"{type(model).__name__} has no signatures and cannot be exported")
        return {
            name: _Walk(name, signature, variables).frozen()
            for name, signature in signatures.items()
        }


def compute(graph: FrozenGraph, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns a frozen graph's output for arrays with one row for each example.

    Args:
      graph: a `FrozenGraph`.
      inputs: dict of the name of an input to its array.
    """
    with tf.Graph().as_default(), open_session() as session:
        names = [*graph.inputs, graph.output]
        tensors = tf.import_graph_def(graph.graph_def, return_elements=[f"{n}:0" for n in names])
        by_name = dict(zip(names, tensors, strict=True))
        feed = {by_name[name]: values for name, values in inputs.items()}
        return run_in_chunks(session, by_name[graph.output], feed)


class _Walk:
    """Collects what a signature's output needs, from the output back to inputs and constants."""

    def __init__(
        self, name: str, signature: Signature, variables: Mapping[str, np.ndarray]
    ) -> None:
        self._signature = signature
        self._output = OUTPUTS[name]
        self._values = variables
        self._fed = {tensor: name for name, tensor in signature.inputs.items()}
        self._sources: dict[str, Any] = {}  # the nodes without inputs
        self._nodes: dict[str, Any] = {}
        self._shapes: dict[str, list[int | None]] = {}
        self._variables: list[str] = []

    def frozen(self) -> FrozenGraph:
        for tensor, name in self._fed.items():
            shape = tensor.shape.as_list()
            self._add_source(name, shape, _placeholder(name, tensor))
        last = self._visit(self._signature.output)
        self._nodes[self._output] = tf.NodeDef(
            name=self._output,
            op="Identity",
            input=[last],
            attr={"T": tf.AttrValue(type=self._signature.output.dtype.as_datatype_enum)},
        )
        self._shapes[self._output] = self._shapes[last]
        graph_def = tf.GraphDef(
            node=[*self._sources.values(), *self._nodes.values()],
            versions=self._signature.output.graph.as_graph_def().versions,
        )
        inputs = tuple(self._signature.inputs)
        return FrozenGraph(graph_def, inputs, self._output, self._shapes, tuple(self._variables))

    def _visit(self, tensor: Tensor) -> str:
        """Adds what `tensor` is computed from, and returns the name of its node."""
        if tensor in self._fed:
            return self._fed[tensor]
        if tensor in self._signature.given:
            return self._visit(self._signature.given[tensor])
        op = tensor.op
        if op.type in _PASSING:
            return self._visit(op.inputs[0])
        if op.name not in self._shapes:
            self._add(tensor)
        return op.name

    def _add(self, tensor: Tensor) -> None:
        op = tensor.op
        shape = tensor.shape.as_list()
        if op.type == _VARIABLE:
            self._variables.append(op.name)
            self._add_source(op.name, shape, _constant(op.name, self._values[op.name]))
        elif (value := tf.get_static_value(tensor)) is not None:
            self._add_source(op.name, shape, _constant(op.name, value))
        elif op.type == _NORMALISATION and not op.get_attr("is_training"):
            self._add_normalisation(op)
        elif not op.inputs or len(op.outputs) != 1:
            raise ModelError(f"{self._output!r} reads {op.name!r}, which only a training has")
        else:
            node = tf.NodeDef()
            node.CopyFrom(op.node_def)
            node.ClearField("input")
            node.input.extend(self._visit(each) for each in op.inputs)
            self._nodes[op.name] = node
            self._shapes[op.name] = shape

    def _add_normalisation(self, op: Any) -> None:
        """Adds batch normalisation by moving averages as a scale and an offset of each channel."""
        x, gamma, beta, mean, variance = map(self._visit, op.inputs)
        epsilon = f"{op.name}/epsilon"
        self._add_source(epsilon, [], _constant(epsilon, np.float32(op.get_attr("epsilon"))))
        channels = op.inputs[1].shape.as_list()
        steps = {
            "variance": ("AddV2", variance, epsilon),
            "deviation": ("Rsqrt", f"{op.name}/variance"),
            "scale": ("Mul", f"{op.name}/deviation", gamma),
            "mean": ("Mul", mean, f"{op.name}/scale"),
            "offset": ("Sub", beta, f"{op.name}/mean"),
            "scaled": ("Mul", x, f"{op.name}/scale"),
            "": ("AddV2", f"{op.name}/scaled", f"{op.name}/offset"),
        }
        dtype = tf.AttrValue(type=op.inputs[0].dtype.as_datatype_enum)
        for step, (kind, *inputs) in steps.items():
            name = f"{op.name}/{step}" if step else op.name
            self._nodes[name] = tf.NodeDef(name=name, op=kind, input=inputs, attr={"T": dtype})
            of_batch = op.outputs[0].shape.as_list()
            self._shapes[name] = of_batch if step in ("scaled", "") else channels

    def _add_source(self, name: str, shape: list[int | None], node: Any) -> None:
        self._sources[name] = node
        self._shapes[name] = shape


def _placeholder(name: str, tensor: Tensor) -> Any:
    return tf.NodeDef(
        name=name,
        op="Placeholder",
        attr={
            "dtype": tf.AttrValue(type=tensor.dtype.as_datatype_enum),
            "shape": tf.AttrValue(shape=tensor.shape.as_proto()),
        },
    )


def _constant(name: str, value: Any) -> Any:
    proto = tf.make_tensor_proto(value)
    return tf.NodeDef(
        name=name,
        op="Const",
        attr={"dtype": tf.AttrValue(type=proto.dtype), "value": tf.AttrValue(tensor=proto)},
    )
