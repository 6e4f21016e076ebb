"""The compiled engine: any model's plain graph and its training loop, compiled by XLA.

No formula is written twice. The engine copies the plain graph into a function, puts the training
loop around it, and XLA compiles both into one operation. XLA merges many small passes over the same
numbers and splits large products over the cores. What it compiled is kept on the disk; see
`moe_vae.compat.compilation_cache`.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from moe_vae.compat import CACHE_VARIABLE, Tensor, compilation_cache, reason_of, tf
from moe_vae.data.dataset import DataSet
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.model import Model
from moe_vae.nn.layers import average_updates
from moe_vae.nn.noise import noise_key
from moe_vae.params import ParameterError
from moe_vae.training.gradients import trained_by
from moe_vae.training.trainer import TrainingError

__all__ = ["BFloat16Trainer", "CompiledTrainer", "compiled"]

# A copy of a graph ends at these operations and reads the outputs of the originals.
_ENDS = ("Placeholder", "PlaceholderWithDefault", "VarHandleOp")

# XLA draws other noise from the same key, so these operations stay outside of what it compiles.
_NOISE = ("StatelessRandomNormalV2", "StatelessRandomUniformV2")


# XLA has no such operation, so it stays outside, too. Its inputs are an example and noise.
_VIEWS = ("ImageProjectiveTransformV3",)

# What a model may feed with a batch.
_FED = ("Placeholder", "PlaceholderWithDefault")

# Multiply two matrices, or two stacks of them.
_PRODUCTS = ("MatMul", "BatchMatMulV2")


class CompiledTrainer(LoopedTrainer):
    """A `LoopedTrainer` of any model that `compiled` builds.

    The first session of a process sets the number of threads an operation for all later sessions.
    This trainer is slower if another kind of `Trainer` opened it.

    Args:
      model: a model in the current graph, with resource variables.
      schedule: as for `Trainer`.

    Raises:
      ParameterError: the model updates moving averages where a switch says so.
      ValueError: it draws noise of an unknown kind, or defines
        gradients of its own, which a copy would not have.
    """

    _splits_operations = True

    @property
    def _product_type(self) -> Any:
        """The type in which matrix products are computed; None means the plain graph's."""
        return None

    def __init__(self, model: Model, schedule: str | None = None) -> None:
        # By phase, what XLA is given for each step of a call beside the batches.
        self._outside: dict[str, dict[Tensor, Tensor]] = {}
        self._updates_of: dict[str, list] = {}  # by phase, of moving averages
        super().__init__(model, schedule)

    def _build_steps(self, phase: str, loss: Tensor) -> None:
        updates = average_updates(self._trained(loss))
        if updates and any(op.type == "Switch" for op in _ancestors(loss)):
            raise ParameterError(
                "batch normalisation has moving averages, which the compiled engine cannot update; "
                "use --engine plain"
            )
        self._updates_of[phase] = updates
        super()._build_steps(phase, loss)

    def _build_outside(self, phase: str, loss: Tensor) -> dict[Tensor, Tensor]:
        """Returns what XLA is given for each step of a call beside the batches: noise and views."""
        with tf.name_scope("views"):
            views = {
                op.outputs[0]: tf.stack(
                    [self._view_at(number, phase, op) for number in range(self._steps_a_run)]
                )
                for op in _ancestors(loss)
                if op.type in _VIEWS
            }
        with tf.name_scope("noise"):
            noise = {
                op.outputs[0]: tf.stack(
                    [self._noise_at(number, phase, op) for number in range(self._steps_a_run)]
                )
                for op in _ancestors(loss, views)
                if op.type in _NOISE
            }
        for op in _ancestors(loss, {**views, **noise}):
            if "Random" in op.type and op.type not in _NOISE:
                raise ValueError(f"{op.name} draws noise of another kind than {', '.join(_NOISE)}")
        return {**views, **noise}

    def _view_at(self, number: int, phase: str, op: Any) -> Tensor:
        """Returns the views that an operation of `_VIEWS` makes in step `number` of a call."""
        replaced = {tensor: of_all[number] for tensor, of_all in self._batches[phase].items()}
        replaced[noise_key()] = self._key_at(number)
        (views,) = _copied([op.outputs[0]], replaced)
        return views

    def _noise_at(self, number: int, phase: str, op: Any) -> Tensor:
        """Returns the noise that an operation of `_NOISE` draws in step `number` of a call."""
        # Only the shape of a batch matters here. With constants in place of everything that could
        # be fed, TensorFlow infers the shape and prunes the rest.
        batch_size, replaced = self.model.batch_size(phase), {}
        for source in _ancestors(op.outputs[0]):
            if source.type == "Placeholder":
                (fed,) = source.outputs
                replaced[fed] = tf.zeros([batch_size, *fed.shape[1:]], fed.dtype)
            elif source.type == "PlaceholderWithDefault":
                replaced[source.outputs[0]] = source.inputs[0]
        replaced[noise_key()] = self._key_at(number)
        (noise,) = _copied([op.outputs[0]], replaced)
        return noise

    def _inputs(self, loss: Tensor) -> list[Tensor]:
        tensors = [op.outputs[0] for op in _ancestors(loss) if op.type in _FED]
        # What has no batch axis is fed once for all steps of a call, such as the learning rate.
        are_batches = (tensor.shape.rank and tensor.shape[0].value is None for tensor in tensors)
        return [tensor for tensor, is_batch in zip(tensors, are_batches, strict=True) if is_batch]

    def _trained(self, loss: Tensor) -> list:
        return [variable for _, variable in trained_by(self._optimizer(), loss)]

    def _loss_at(self, number: Tensor, phase: str, loss: Tensor) -> tuple[Tensor, list]:
        of_run = {**self._batches[phase], **self._outside[phase]}
        replaced = {tensor: of_all[number] for tensor, of_all in of_run.items()}
        copy, *updates = _copied([loss, *self._updates_of[phase]], replaced, self._product_type)
        return copy, updates

    def _loop(self, phase: str, loss: Tensor, variables: list) -> Any:
        self._outside[phase] = self._build_outside(phase, loss)
        loop = functools.partial(super()._loop, phase, loss, variables)
        return tf.function(loop, jit_compile=True, autograph=False)()

    def run_epoch(self, train_set: DataSet, phase: str) -> dict[str, float]:
        try:
            return super().run_epoch(train_set, phase)
        except (tf.errors.InternalError, tf.errors.OutOfRangeError) as error:
            cache = compilation_cache()
            if cache is None:
                raise
            raise TrainingError(
                f"what XLA compiled cannot be run ({reason_of(error)}); {cache} may be damaged: "
                f"delete it, or set {CACHE_VARIABLE}=off"
            ) from error


class BFloat16Trainer(CompiledTrainer):
    """A `CompiledTrainer` whose matrix products are in bfloat16; all else is in single precision.

    Its values are not the plain graph's: `bench --device gpu` measures how far they are from them.
    """

    @property
    def _product_type(self) -> Any:
        return tf.bfloat16


def compiled(
    build: Callable[..., Model], trainer_class: type[CompiledTrainer] = CompiledTrainer
) -> Callable[..., Model]:
    """Returns a function like `build` whose models are trained by a `CompiledTrainer`.

    Args:
      build: a function that builds a model's plain graph in the current one.
      trainer_class: the trainer's class.
    """

    @functools.wraps(build)
    def build_compiled(*args: Any, **kwargs: Any) -> Model:
        with tf.variable_scope(tf.get_variable_scope(), use_resource=True):
            model = build(*args, **kwargs)
        model.trainer_class = trainer_class
        return model

    return build_compiled


def _ancestors(element: Any, replaced: Collection[Tensor] = ()) -> list:
    """Returns the operations that a tensor or an operation depends on, up to where a copy ends."""
    found: dict[Any, None] = {}
    left = [_op_of(element)]
    while left:
        op = left.pop()
        if op not in found:
            found[op] = None
            if _end_of(op, replaced) is None:
                left += [*op.control_inputs, *(source.op for source in op.inputs)]
    return list(found)


def _op_of(element: Any) -> Any:
    return element if isinstance(element, tf.Operation) else element.op


def _end_of(op: Any, replaced: Collection[Tensor]) -> Tensor | None:
    """Returns the output of an operation at which a copy ends, or None."""
    ends = [output for output in op.outputs if op.type in _ENDS or output in replaced]
    return ends[0] if ends else None


def _copied(
    elements: Sequence[Any], replaced: Mapping[Tensor, Any], product_type: Any = None
) -> list:
    """Returns copies of tensors and operations, computed from other inputs, in the current graph.

    Args:
      elements: tensors and operations of the current graph, or of the graph around the function
        being built.
      replaced: dict of tensors of that graph to what replaces them in the copy.
      product_type: the type of the copy's matrix products; None means that of the originals.
    """
    graph = tf.get_default_graph()
    definition = tf.GraphDef(versions=elements[0].graph.graph_def_versions)
    inputs = {}
    for op in dict.fromkeys(op for one in elements for op in _ancestors(one, replaced)):
        end = _end_of(op, replaced)
        if end is not None:
            inputs[end.name] = replaced.get(end, end)
            continue
        node = definition.node.add()
        node.CopyFrom(op.node_def)
        node.attr.pop(
            "_class", None
        )  # colocates the operation with a variable, which is not copied
        if "_gradient_op_type" in node.attr:
            raise ValueError(
                f"{op.name} defines a gradient of its own, which a copy would not have"
            )
        if product_type is not None and op.type in _PRODUCTS:
            _cast_product(definition, node, product_type)
    if graph.building_function:
        inputs = {name: graph.capture(value) for name, value in inputs.items()}
    return tf.import_graph_def(definition, inputs, [one.name for one in elements], name="copy")


def _cast_product(definition: Any, product: Any, product_type: Any) -> None:
    """Puts casts around a product, and so around its gradients, in the definition of a graph.

    Args:
      definition: the `tf.GraphDef`.
      product: its node, a product of two matrices; what reads it reads a cast of that name.
      product_type: the type of the product itself.
    """

    def add_cast(name: str, source: str, into: int, of: int) -> None:
        cast = definition.node.add(name=name, op="Cast", input=[source])
        cast.attr["SrcT"].type, cast.attr["DstT"].type = of, into

    name, usual, low = product.name, product.attr["T"].type, product_type.as_datatype_enum
    for place in range(2):
        cast_name = f"{name}/factor_{place}"
        add_cast(cast_name, product.input[place], low, usual)
        product.input[place] = cast_name
    product.name = f"{name}/product"
    product.attr["T"].type = low
    add_cast(name, product.name, usual, low)
