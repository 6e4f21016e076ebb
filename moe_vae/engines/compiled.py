"""A training whose loop XLA compiles: the fused engine of models that are no sum over experts.

Nothing of a model is written down a second time: its plain graph is copied into a function, the
loop around it, and XLA makes one operation of both. That joins what are many small passes over
the same numbers, and splits large products over the cores.
"""

import functools

from moe_vae.compat import tf
from moe_vae.engines.looped import LoopedTrainer
from moe_vae.model import Model
from moe_vae.nn.noise import noise_key
from moe_vae.training.gradients import trained_by

__all__ = ["CompiledTrainer", "compiled"]

# Where a copy of a graph ends, and goes on to what the original goes on to.
_ENDS = ("Placeholder", "PlaceholderWithDefault", "VarHandleOp")

# XLA draws other noise from the same key: these stay outside.
_NOISE = ("StatelessRandomNormalV2", "StatelessRandomUniformV2")


class CompiledTrainer(LoopedTrainer):
    """A `LoopedTrainer` of any model that `compiled` builds.

    The first session of a process decides how many threads an operation may have in all of them:
    where that was a `Trainer`'s of another kind, this one is slower.

    Args:
      model: a model in the current graph, with resource variables.

    Raises:
      ValueError: the model moves averages, draws noise of a kind that this does not know, or has
        gradients of its own, which no copy would have.
    """

    _splits_operations = True

    def __init__(self, model: Model, schedule: str | None = None) -> None:
        self._noise = {}
        super().__init__(model, schedule)

    def _build_steps(self, phase, loss):
        if self._updates(phase):
            raise ValueError(f"phase {phase!r} moves averages, which no compiled step does")
        with tf.name_scope("noise"):
            self._noise[phase] = {
                op.outputs[0]: tf.stack(
                    [self._noise_at(number, phase, op) for number in range(self._steps_a_run)]
                )
                for op in _ancestors(loss)
                if op.type in _NOISE
            }
        for op in _ancestors(loss, self._noise[phase]):
            if "Random" in op.type and op.type not in _NOISE:
                raise ValueError(f"{op.name} draws noise of another kind than {', '.join(_NOISE)}")
        super()._build_steps(phase, loss)

    def _noise_at(self, number, phase, op):
        """Returns what an operation of `_NOISE` draws in a run's step."""
        # Of a batch its shape alone is asked. Where nothing can be fed that the shape may follow
        # from, TensorFlow knows it beforehand, and leaves out what else there would be.
        batch_size, replaced = self.model.batch_size(phase), {}
        for source in _ancestors(op.outputs[0]):
            if source.type == "Placeholder":
                (fed,) = source.outputs
                replaced[fed] = tf.zeros([batch_size, *fed.shape[1:]], fed.dtype)
            elif source.type == "PlaceholderWithDefault":
                replaced[source.outputs[0]] = source.inputs[0]
        replaced[noise_key()] = self._key_at(number)
        return _copied(op.outputs[0], replaced)

    def _inputs(self, loss):
        return [op.outputs[0] for op in _ancestors(loss) if op.type == "Placeholder"]

    def _trained(self, loss):
        return [variable for _, variable in trained_by(self._optimizer(), loss)]

    def _loss_at(self, number, phase, loss):
        of_run = {**self._batches[phase], **self._noise[phase]}
        return _copied(loss, {tensor: of_all[number] for tensor, of_all in of_run.items()})

    def _loop(self, phase, loss, variables):
        loop = functools.partial(super()._loop, phase, loss, variables)
        return tf.function(loop, jit_compile=True, autograph=False)()


def compiled(build):
    """Returns a function like `build` whose models a `CompiledTrainer` trains.

    Args:
      build: a function that builds a model's plain graph in the current one.
    """

    @functools.wraps(build)
    def build_compiled(*args, **kwargs):
        with tf.variable_scope(tf.get_variable_scope(), use_resource=True):
            model = build(*args, **kwargs)
        model.trainer_class = CompiledTrainer
        return model

    return build_compiled


def _ancestors(tensor, replaced=()):
    """Returns the operations that a tensor is made of, up to those that `_end_of` ends at."""
    found, left = {}, [tensor.op]
    while left:
        op = left.pop()
        if op not in found:
            found[op] = None
            if _end_of(op, replaced) is None:
                left += [*op.control_inputs, *(source.op for source in op.inputs)]
    return list(found)


def _end_of(op, replaced):
    """Returns the output of an operation at which a copy ends, or None."""
    ends = [output for output in op.outputs if op.type in _ENDS or output in replaced]
    return ends[0] if ends else None


def _copied(tensor, replaced):
    """Returns a tensor as its graph makes it, of other inputs, in the current graph.

    Args:
      tensor: a tensor of the current graph, or of that around the function that is being built.
      replaced: dict of other tensors there to what stands in their place in the copy.
    """
    graph = tf.get_default_graph()
    definition = tf.GraphDef(versions=tensor.graph.graph_def_versions)
    inputs = {}
    for op in _ancestors(tensor, replaced):
        end = _end_of(op, replaced)
        if end is not None:
            inputs[end.name] = replaced.get(end, end)
            continue
        node = definition.node.add()
        node.CopyFrom(op.node_def)
        node.attr.pop("_class", None)  # where a variable stands, which is not copied
        if "_gradient_op_type" in node.attr:
            raise ValueError(f"{op.name} has a gradient of its own, which reads the original")
    if graph.building_function:
        inputs = {name: graph.capture(value) for name, value in inputs.items()}
    (copy,) = tf.import_graph_def(definition, inputs, [tensor.name], name="copy")
    return copy
