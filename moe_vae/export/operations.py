"""A frozen graph as a short list of operations, which JSON holds and any language can run."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from moe_vae.compat import tf
from moe_vae.export.frozen import FrozenGraph
from moe_vae.model import ModelError

__all__ = ["OPERATIONS", "list_operations"]

# What a node of the frozen graph becomes: the operation's name, how many of the node's inputs are
# tensors, and the attributes, a function of the node and of the values of its other inputs.
_Attributes = Callable[[Any, list[np.ndarray]], dict[str, Any]]
_Rule = tuple[str, int, _Attributes]


def _none(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    del node, values
    return {}


def _elementwise(name: str, n_inputs: int) -> _Rule:
    return name, n_inputs, _none


def _matmul(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    del values
    # Asking the map for a name that it lacks would add the name to the node.
    flags = ("transpose_a", "transpose_b", "adj_x", "adj_y")
    if any(node.attr[name].b for name in flags if name in node.attr):
        raise ModelError(f"{node.name!r} multiplies a transposed matrix, which no export has")
    return {}


def _reduce(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    return {"axis": np.ravel(values[0]).tolist(), "keepdims": node.attr["keep_dims"].b}


def _index(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    """Returns a slice as a list: [begin, end, step] of an axis, a number, or None, a new axis."""
    bits = {
        name: node.attr[f"{name}_mask"].i
        for name in ("begin", "end", "new_axis", "shrink_axis", "ellipsis")
    }
    if bits["ellipsis"]:
        raise ModelError(f"{node.name!r} slices with an ellipsis, which no export has")
    index: list[Any] = []
    for axis, (begin, end, step) in enumerate(
        zip(*(each.tolist() for each in values), strict=True)
    ):
        bit = 1 << axis
        if bits["new_axis"] & bit:
            index.append(None)
        elif bits["shrink_axis"] & bit:
            index.append(begin)
        else:
            index.append(
                [None if bits["begin"] & bit else begin, None if bits["end"] & bit else end, step]
            )
    return {"index": index}


def _one_hot(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    depth, on, off = (value.item() for value in values)
    if (on, off) != (1, 0) or node.attr["axis"].i != -1:
        raise ModelError(f"{node.name!r} is no plain one-hot, which no export has")
    return {"depth": depth}


def _convolution(node: Any, values: list[np.ndarray]) -> dict[str, Any]:
    del values
    form, padding = node.attr["data_format"].s, node.attr["padding"].s
    if (form, padding) != (b"NHWC", b"SAME") or set(node.attr["dilations"].list.i) - {1}:
        raise ModelError(f"{node.name!r} is no plain convolution of NHWC, which no export has")
    return {"strides": list(node.attr["strides"].list.i)[1:3], "padding": "same"}


_RULES: dict[str, _Rule] = {
    "MatMul": ("MatMul", 2, _matmul),
    "BatchMatMulV2": ("MatMul", 2, _matmul),
    "Conv2D": ("Conv2D", 2, _convolution),
    "Conv2DBackpropInput": ("Conv2DTranspose", 3, _convolution),
    "BiasAdd": _elementwise("Add", 2),
    "AddV2": _elementwise("Add", 2),
    "Sub": _elementwise("Sub", 2),
    "Mul": _elementwise("Mul", 2),
    "RealDiv": _elementwise("Div", 2),
    "SquaredDifference": _elementwise("SquaredDifference", 2),
    "Neg": _elementwise("Neg", 1),
    "Square": _elementwise("Square", 1),
    "Sqrt": _elementwise("Sqrt", 1),
    "Rsqrt": _elementwise("Rsqrt", 1),
    "Exp": _elementwise("Exp", 1),
    "Log": _elementwise("Log", 1),
    "Relu": _elementwise("Relu", 1),
    "Sigmoid": _elementwise("Sigmoid", 1),
    "Tanh": _elementwise("Tanh", 1),
    "Softmax": _elementwise("Softmax", 1),
    "LogSoftmax": _elementwise("LogSoftmax", 1),
    "Sum": ("Sum", 1, _reduce),
    "ArgMax": ("ArgMax", 1, lambda node, values: {"axis": values[0].item()}),
    "OneHot": ("OneHot", 1, _one_hot),
    "Reshape": ("Reshape", 1, lambda node, values: {"shape": values[0].tolist()}),
    "ExpandDims": ("ExpandDims", 1, lambda node, values: {"axis": values[0].item()}),
    "StridedSlice": ("Index", 1, _index),
    "Einsum": ("Einsum", 2, lambda node, values: {"equation": node.attr["equation"].s.decode()}),
    "MatrixDiagPartV3": _elementwise("Diagonal", 1),
}
# The places of an operation's inputs among a node's, where they are not the first ones in order. A
# transposed convolution's first input is the shape of its result, which is an attribute in a list.
_TENSORS = {"Conv2DBackpropInput": (2, 1)}
# Those that take any number of tensors, and their attributes.
_JOINING: dict[str, tuple[str, Callable[[Any, list[np.ndarray]], dict[str, Any]]]] = {
    "ConcatV2": ("Concat", lambda node, values: {"axis": values[0].item()}),
    "Pack": ("Stack", lambda node, values: {"axis": node.attr["axis"].i}),
}

# Every operation that a list may hold.
OPERATIONS = tuple(
    sorted({rule[0] for rule in _RULES.values()} | {rule[0] for rule in _JOINING.values()})
)


def list_operations(graph: FrozenGraph) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Lists what a frozen graph computes, ready for JSON.

    Each operation is a dict with `op`, one of `OPERATIONS`; `inputs`, each the name of a tensor or
    a number; `output`, the name of its result; `shape`, of its result, None for the batch; and
    `attributes`, a dict. A tensor is an input of the signature, a variable, a constant, or the
    output of an earlier operation.

    Args:
      graph: a `FrozenGraph`.

    Returns:
      Dict with `inputs` (dict of name to shape), `output` (a name) and `operations` (a list), and a
      dict of the constants that are no single numbers.

    Raises:
      ModelError: the graph has an operation that no list can hold.
    """
    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.graph_def.node
        if node.op == "Const"
    }
    nodes = [each for each in graph.graph_def.node if each.op not in ("Const", "Placeholder")]
    needed = {nodes[-1].input[0]}
    for node in reversed(nodes[:-1]):  # without the output's
        if node.name in needed:
            needed.update(_tensors(node))
    operations = [_operation(each, constants, graph) for each in nodes if each.name in needed]
    read = {name for each in operations for name in each["inputs"] if isinstance(name, str)}
    listed = {
        "inputs": {name: graph.shapes[name] for name in graph.inputs},
        "output": nodes[-1].input[0],
        "operations": operations,
    }
    own = (read & constants.keys()) - set(graph.variables)
    return listed, {name: constants[name] for name in sorted(own)}


def _operation(
    node: Any, constants: Mapping[str, np.ndarray], graph: FrozenGraph
) -> dict[str, Any]:
    name, n_tensors, attributes = _rule(node)
    tensors = [_source(each, constants, graph) for each in _tensors(node)]
    values = [constants[each] for each in node.input[n_tensors:]]
    shape = graph.shapes[node.name]
    # A transposed convolution's result may have one row or column less than strides say.
    size = {"shape": shape[1:]} if node.op in _TENSORS else {}
    return {
        "op": name,
        "inputs": tensors,
        "output": node.name,
        "shape": shape,
        "attributes": {**attributes(node, values), **size},
    }


def _tensors(node: Any) -> list[str]:
    """Returns the names of the inputs of a node that are tensors."""
    return [node.input[place] for place in _TENSORS.get(node.op, range(_rule(node)[1]))]


def _rule(node: Any) -> _Rule:
    if node.op in _RULES:
        return _RULES[node.op]
    if node.op not in _JOINING:
        raise ModelError(f"{node.name!r} is a {node.op}, which no list of operations holds")
    name, attributes = _JOINING[node.op]
    return name, node.attr["N"].i, attributes


def _source(name: str, constants: Mapping[str, np.ndarray], graph: FrozenGraph) -> str | float:
    value = constants.get(name)
    is_number = value is not None and value.ndim == 0 and name not in graph.variables
    return value.item() if value is not None and is_number else name
