"""Frozen graphs as files of other runtimes: TensorFlow's SavedModel and ONNX."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moe_vae.compat import Tensor, reason_of, tf
from moe_vae.export.frozen import FrozenGraph
from moe_vae.files import whole_directory

__all__ = ["DESCRIPTION", "MissingPackageError", "write_onnx", "write_savedmodel"]

# The version of ONNX's set of operations.
OPSET = 17

# What the model is, as JSON, beside the files of either kind.
DESCRIPTION = "description.json"


class MissingPackageError(ValueError):
    """An export needs a package that is not installed."""


def write_savedmodel(
    directory: Path, graphs: Mapping[str, FrozenGraph], description: Mapping[str, Any]
) -> None:
    """Writes a SavedModel with one signature for each graph; they share their weights.

    Args:
      directory: the SavedModel's directory, which does not exist yet.
      graphs: dict of a signature's name to its `FrozenGraph`.
      description: what the model is, for `description.json`.

    Raises:
      OSError: the directory cannot be written.
    """
    with (
        whole_directory(directory) as partial,
        tf.Graph().as_default(),
        tf.Session() as session,
    ):
        weights: dict[str, Tensor] = {}
        definitions = {name: _imported(name, graph, weights) for name, graph in graphs.items()}
        # The builder wants to make the directory itself.
        builder = tf.saved_model.Builder(str(partial / "built"))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.tag_constants.SERVING], definitions
        )
        try:
            builder.save()
        except tf.errors.OpError as error:
            raise OSError(f"{directory} cannot be written ({reason_of(error)})") from error
        for path in (partial / "built").iterdir():
            path.rename(partial / path.name)
        (partial / "built").rmdir()
        _describe(partial, description)


def _imported(name: str, graph: FrozenGraph, weights: dict[str, Tensor]) -> Any:
    """Imports a graph on shared weights, and returns its `SignatureDef`."""
    own = tf.GraphDef(versions=graph.graph_def.versions)
    for node in graph.graph_def.node:
        if node.name not in graph.variables:
            own.node.add().CopyFrom(node)
        elif node.name not in weights:
            value = tf.make_ndarray(node.attr["value"].tensor)
            weights[node.name] = tf.constant(value, name=f"weights/{node.name}")
    tf.import_graph_def(own, {each: weights[each] for each in graph.variables}, name=name)

    def tensor(node: str) -> Any:
        return tf.get_default_graph().get_tensor_by_name(f"{name}/{node}:0")

    return tf.saved_model.predict_signature_def(
        {each: tensor(each) for each in graph.inputs}, {graph.output: tensor(graph.output)}
    )


def write_onnx(
    directory: Path, graphs: Mapping[str, FrozenGraph], description: Mapping[str, Any]
) -> None:
    """Writes a directory with one ONNX file for each graph; the arguments are as above.

    Raises:
      MissingPackageError: tf2onnx is not installed.
      OSError: the directory cannot be written.
    """
    try:
        from tf2onnx import convert
    except ImportError as error:
        raise MissingPackageError(
            f"ONNX files need tf2onnx ({error}): pip install 'moe_vae[export]'"
        ) from error
    with whole_directory(directory) as partial:
        for name, graph in graphs.items():
            nodes = [*graph.inputs, graph.output]
            convert.from_graph_def(
                graph.graph_def,
                name=name,
                input_names=[f"{each}:0" for each in graph.inputs],
                output_names=[f"{graph.output}:0"],
                opset=OPSET,
                tensors_to_rename={f"{each}:0": each for each in nodes},
                output_path=str(partial / f"{name}.onnx"),
            )
        _describe(partial, description)


def _describe(directory: Path, description: Mapping[str, Any]) -> None:
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
