"""One run: a training, its directory, and what is kept there.

A run's directory holds the trained variables, `metrics.json` with settings, losses and scores, the
figures, the checkpoints that an interrupted training resumes from, and `evaluation.json`.
"""

import contextlib
import functools
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from moe_vae import files
from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSets, Form
from moe_vae.distributed.processes import chief_of, cluster_record, take_part
from moe_vae.evaluation.familiarity import loss_quantiles
from moe_vae.experiments.engine_choice import AUTO, Machine, choose_engine
from moe_vae.experiments.registry import MODELS, builder, combined_params
from moe_vae.experiments.run_files import (
    CHECKPOINT,
    CHECKPOINTS,
    EVALUATION,
    METRICS,
    TENSORBOARD,
    RunError,
    RunInterrupted,
    read_record,
    save_figures,
    write_json,
)
from moe_vae.experiments.sources import DataChoice, prepare_data
from moe_vae.messages import say
from moe_vae.models.information_encoder import InformationEncoder
from moe_vae.nn.sessions import finds_gpu, usable_cores
from moe_vae.params import ParameterError
from moe_vae.training.checkpoints import CheckpointError, Checkpoints, last_engine, locked
from moe_vae.training.tensorboard import TensorBoardLog
from moe_vae.training.trainer import Trainer, start_trainer

if TYPE_CHECKING:
    from moe_vae.distributed.member import Member
    from moe_vae.distributed.trainer import ClusterTrainer

__all__ = [
    "TrainOptions",
    "check_directory",
    "check_engine",
    "check_new",
    "evaluate_run",
    "fit_model",
    "follow_run",
    "load_run",
    "run_identity",
    "run_params",
    "run_record",
    "train_run",
]

Record = dict[str, Any]
Params = dict[str, Any]


@dataclass(frozen=True)
class TrainOptions:
    """How a run is trained, beside its model, its data and its parameters.

    Attributes:
      seed: whole number in 0 to 2^32 - 1, of the weights, the noise and the batches.
      engine: one of `ENGINES`, or `AUTO`, with which `choose_engine` decides. The recorded results
        are the plain engine's, and so is the default.
      schedule: the learning rate's, "constant" or "cosine"; None means the model's own.
      start: the directory of the run whose trained variables the model begins with, or None.
      resume: whether to resume from the last checkpoint in the directory, if there is one.
      checkpoint_every: number of epochs from one checkpoint to the next.
      keep: number of checkpoints that are kept.
      tensorboard: whether to write TensorBoard's log.
      scores_epochs: whether the history has the scores after every epoch that a clustering model's
        `ModelEntry.listener` records.
      command: the command line that asked for the run, for its record.
    """

    seed: int = 42
    engine: str = "plain"
    schedule: str | None = None
    start: Path | None = None
    resume: bool = False
    checkpoint_every: int = 1
    keep: int = 3
    tensorboard: bool = False
    scores_epochs: bool = False
    command: str = ""


# Before a training: what can be said without the data and without TensorFlow.


def run_params(
    model: str, form: Form, given: Params | None = None, start: Path | None = None
) -> Params:
    """Returns all parameters of a run, checked.

    Args:
      model: a key of `MODELS`.
      form: the `Form` of the data.
      given: dict of the parameters that are set.
      start: the directory of the run that it begins with, or None; the networks' parameters come
        from there.

    Raises:
      DataError: the model needs labels, and the data have none.
      ParameterError: a parameter is unknown or impossible.
      RunError: `start` holds no run.
    """
    before = None if start is None else read_record(start)
    params = combined_params(model, form, given, before)
    if params.get("neighbour_space") == "features" and start is None:
        raise ParameterError(
            "parameter 'neighbour_space' is 'features': it needs the run of a trained encoder; "
            "name it by --from"
        )
    if params.get("normalise") and model in ("dmvae", "moe") and start is None:
        raise ParameterError(
            f"parameter 'normalise' is True: in {model!r} batch normalisation uses the averages of "
            "a trained encoder; name its run by --from, or set normalise to False"
        )
    if form.n_classes is None and MODELS[model].needs_labels(params):
        raise DataError(f"the data have no labels, on which model {model!r} is trained")
    return params


def check_engine(
    model: str, form: Form, params: Params, options: TrainOptions, is_cluster: bool = False
) -> None:
    """Raises ParameterError if a run cannot be computed by the engine that is asked for.

    Args:
      model: a key of `MODELS`.
      form: the `Form` of the data.
      params: all parameters of the run.
      options: the run's `TrainOptions`.
      is_cluster: whether the run is trained by a cluster of processes.
    """
    if options.engine == AUTO:  # which never chooses what cannot be
        return
    builder(model, form.shape, options.engine)
    if options.engine != "plain" and is_cluster:
        raise ParameterError(
            f"--engine {options.engine} does not go with --cluster; use --engine plain"
        )
    # Dense experts and their manager have variables of other names in the fused graph. A router
    # has the same names in both.
    if options.engine == "fused" and options.start is not None:
        before = read_record(options.start)["model"]
        if before != "information":
            raise ParameterError(
                f"--engine fused does not go with --from a run of {before!r}, only with a "
                "router's, 'information'; use --engine plain"
            )


def check_directory(directory: Path) -> None:
    """Raises RunError if `directory` is no directory and cannot become one."""
    files.check_directory(directory, RunError)


def check_new(directory: Path, resume: bool) -> None:
    """Raises RunError if a directory holds a run that is not to be resumed."""
    if not resume and any((directory / CHECKPOINTS).glob("epoch-*")):
        raise RunError(f"{directory} holds a run: continue with --resume, or choose another --out")


# A training.


def train_run(
    model: str,
    data: DataChoice,
    directory: Path,
    params: Params | None = None,
    options: TrainOptions | None = None,
    member: "Member | None" = None,
) -> Record:
    """Trains a model and writes variables, record and figures to a directory.

    Ctrl-C ends the training at once; what was learned is written, and the record says so. The
    history lists whole epochs only. SIGTERM does the same; scores and figures are then left out,
    because the process has seconds to end. Whoever called it ends with the exit code of the signal.

    Args:
      model: a key of `MODELS`.
      data: the `DataChoice` to train on.
      directory: the run's directory; made where it is missing.
      params: dict of the parameters that differ from the model's defaults.
      options: the run's `TrainOptions`; None means the defaults.
      member: the chief's `Member` of a cluster of processes; None trains in this process alone.

    Returns:
      The run's record, as in its `metrics.json`; see `run_record`.

    Raises:
      ParameterError: a parameter or the engine is impossible.
      RunError: the directory holds another run or is a file, or no epoch ended.
      CheckpointError: a checkpoint cannot be written or resumed, or the directory is in use.
      DataError: the data cannot be had.
      TrainingError: a loss is infinite or not a number.
      ClusterError: another process of the cluster failed.
    """
    options = options or TrainOptions()
    params = run_params(model, data.form, params, options.start)
    check_engine(model, data.form, params, options, member is not None)
    check_directory(directory)
    check_new(directory, options.resume)
    with locked(directory), _starter(member) as starter:
        data_sets = data.read()
        _check_numbers(model, params, data_sets)
        n_examples = data_sets.train.num_examples
        options = _with_engine(
            model, data.form, params, n_examples, options, directory, member is not None
        )
        data_sets = _prepared(data, params, options.start, data_sets)
        trainer, record = fit_model(model, params, data_sets, directory, options, starter)
        record |= {"source": data.record()}
        if member is not None:
            record |= cluster_record(member, cast("ClusterTrainer", trainer))
        _save_run(directory, trainer, record, data_sets)
    if member is None:
        trainer.session.close()  # a table trains a hundred in one process
    return record


def _with_engine(
    model: str,
    form: Form,
    params: Params,
    n_examples: int,
    options: TrainOptions,
    directory: Path,
    is_cluster: bool,
) -> TrainOptions:
    """Returns the options with an engine's name, and says which one was chosen if it was `AUTO`."""
    if options.engine != AUTO:
        return options
    can_go_on = options.resume and not is_cluster  # a cluster has the plain engine only
    begun = last_engine(directory / CHECKPOINTS) if can_go_on else None
    if begun is None:
        engine, reason = choose_engine(
            model,
            form,
            params,
            n_examples,
            Machine(usable_cores(), finds_gpu()),
            is_cluster,
            options.start is not None,
        )
    else:  # so that a resumed run ends as one that was never interrupted
        engine, reason = begun, "the run began with it"
    if not is_cluster:  # which has no choice
        say(f"The engine is {engine}: {reason}.")
    options = replace(options, engine=engine)
    check_engine(model, form, params, options, is_cluster)
    return options


def _check_numbers(model: str, params: Params, data_sets: DataSets) -> None:
    """Raises ParameterError if a batch, or the experts, are more than the training examples."""
    counter, n_examples = MODELS[model].counter, data_sets.train.num_examples
    if counter in params and params[counter] > n_examples:
        raise ParameterError(
            f"parameter {counter!r} is {params[counter]}: it must be at most the training set's "
            f"{n_examples} examples"
        )
    for name in ("batch_size", "routing_batch_size"):
        if params.get(name, 0) > n_examples:
            raise ParameterError(
                f"parameter {name!r} is {params[name]}: it must be at most the training set's "
                f"{n_examples} examples"
            )


def follow_run(
    model: str, data: DataChoice, params: Params, options: TrainOptions, member: "Member"
) -> None:
    """Takes part in a cluster's training, not as its chief, until the chief ends it.

    Args and Raises are those of `train_run`; `params` are all parameters of the run.
    """
    build = builder(model, data.form.shape)
    take_part(
        member,
        build,
        params,
        options.seed,
        lambda: _prepared(data, params, options.start).train,
        options.schedule,
    )


def _prepared(
    data: DataChoice, params: Params, start: Path | None, data_sets: DataSets | None = None
) -> DataSets:
    """Returns the prepared data sets of a training, whose neighbours may need a trained model.

    Those that were read already are `data_sets`; None reads them.
    """
    data_sets = data.read() if data_sets is None else data_sets
    if start is None or params.get("neighbour_space") != "features":
        return prepare_data(data_sets, params, data.cache)
    trainer, record = load_run(start)
    with contextlib.closing(trainer.session):
        model = trainer.model
        if not isinstance(model, InformationEncoder):
            raise ParameterError(
                f"parameter 'neighbour_space' is 'features': --from {start} must hold the model "
                f"'information', and it holds {record['model']!r}"
            )
        features = functools.partial(model.compute_features, trainer.session)
        return prepare_data(data_sets, params, data.cache, features)


def fit_model(
    model: str,
    params: Params,
    data_sets: DataSets,
    directory: Path,
    options: TrainOptions,
    starter: Callable[..., Trainer] = start_trainer,
) -> tuple[Trainer, Record]:
    """Trains a model to the end, with checkpoints in a directory; writes nothing else there.

    Args:
      model: a key of `MODELS`.
      params: all parameters of the run.
      data_sets: the prepared `DataSets`, no batch of them taken.
      directory: the run's directory.
      options: the run's `TrainOptions`.
      starter: function that returns the trainer; its arguments are `start_trainer`'s.

    Returns:
      The `Trainer` and the run's record.

    Raises:
      What `train_run` raises.
    """
    _check_class_names(params, data_sets)
    build = builder(model, data_sets.train.shape, options.engine)
    trainer = starter(build, params, options.seed, options.schedule)
    if options.start is not None:
        trainer.begin_with(options.start / CHECKPOINT)
    identity = run_identity(model, trainer, data_sets, options.seed, options.schedule)
    checkpoints = Checkpoints(
        directory / CHECKPOINTS, identity, options.checkpoint_every, options.keep, options.engine
    )
    check_new(directory, options.resume)
    say(f"Training {model} on {data_sets.name}.")
    if options.resume:
        _restore_checkpoints(trainer, data_sets, checkpoints)
    if options.scores_epochs:  # before the checkpoints, which keep the history
        trainer.listeners.append(MODELS[model].listener(data_sets.test))
    trainer.listeners.append(checkpoints)
    with contextlib.ExitStack() as stack:
        if options.tensorboard:
            log = TensorBoardLog(directory / TENSORBOARD, trainer)
            trainer.listeners.append(stack.enter_context(contextlib.closing(log)))
        trainer.fit_to_the_end(data_sets.train)
    if trainer.interrupted:
        say(f"Interrupted after {trainer.n_epochs} epochs; writing what was learned.")
    if not trainer.n_epochs:
        raise RunInterrupted(
            "interrupted before the first epoch ended: nothing to write", trainer.terminated
        )
    record = run_record(model, trainer, data_sets, options.seed, options.schedule)
    start = {} if options.start is None else {"start": str(options.start)}
    return trainer, {"command": options.command, "engine": options.engine, **start, **record}


def _check_class_names(params: Params, data_sets: DataSets) -> None:
    """Raises ParameterError if a model has more classes than the data have names."""
    if data_sets.class_names is None:
        return
    counter = "n_outputs" if params.get("task") == "classification" else "n_classes"
    if params.get(counter, 0) > len(data_sets.class_names):
        raise ParameterError(
            f"parameter {counter!r} is {params[counter]}: it must be at most the number of the "
            f"data's classes, {len(data_sets.class_names)}"
        )


def _restore_checkpoints(trainer: Trainer, data_sets: DataSets, checkpoints: Checkpoints) -> None:
    """Resumes from the last checkpoint, if there is one."""
    for damage in checkpoints.restore(trainer, data_sets.train):
        say(f"{damage}.")
    if trainer.n_epochs:
        say(f"Going on after epoch {trainer.n_epochs}.")


def _save_run(directory: Path, trainer: Trainer, record: Record, data_sets: DataSets) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    trainer.save(directory / CHECKPOINT)
    write_json(directory / METRICS, record)  # first, so that a fault in a figure cannot lose it
    if not trainer.terminated:  # else there is no time for figures
        save_figures(MODELS[record["model"]].draw(trainer, record, data_sets.test), directory)


@contextlib.contextmanager
def _starter(member: "Member | None") -> Iterator[Callable[..., Trainer]]:
    if member is None:
        yield start_trainer
        return
    with chief_of(member) as start:
        yield start


def run_identity(
    name: str, trainer: Trainer, data_sets: DataSets, seed: int, schedule: str | None = None
) -> Record:
    """Collects what decides how a run goes, ready for JSON; the arguments are `run_record`'s.

    Checkpoints without a schedule, which older versions wrote, count as those with None.
    """
    return {
        "model": name,
        "params": trainer.model.params,
        "seed": seed,
        "schedule": schedule,
        "data": {
            "name": data_sets.name + trainer.data_note,
            "checksum": data_sets.train.checksum(),
        },
    }


def run_record(
    name: str, trainer: Trainer, data_sets: DataSets, seed: int, schedule: str | None = None
) -> Record:
    """Collects what a finished run is to be remembered by, ready for JSON.

    Args:
      name: a key of `MODELS`.
      trainer: its `Trainer` after `fit`.
      data_sets: the `DataSets` that it was trained on.
      seed: the seed that it was started from.
      schedule: the learning rate's schedule that was asked for; None means the model's own.
    """
    return {
        "model": name,
        "data": data_sets.name,
        "shape": list(data_sets.train.shape),
        "class_names": data_sets.class_names,
        **({} if data_sets.inverted is None else {"inverted": data_sets.inverted}),
        "seed": seed,
        **({} if schedule is None else {"schedule": schedule}),
        "params": trainer.model.params,
        "interrupted": trainer.interrupted,
        "history": trainer.history,
        "seconds": trainer.seconds,
        **_scores(name, trainer, data_sets),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def _scores(name: str, trainer: Trainer, data_sets: DataSets) -> Record:
    """Returns the scores of a finished run; of one that SIGTERM ended, for want of time, none."""
    if trainer.terminated:
        return {"test": {}, "terminated": True}
    return {
        "test": MODELS[name].score(trainer, data_sets.test),
        **loss_quantiles(trainer.model, trainer.session, data_sets.train),
    }


# After a training.


def load_run(directory: Path) -> tuple[Trainer, Record]:
    """Returns the trainer of a finished run, its variables restored, and the run's record.

    Raises:
      RunError: the directory holds no run, or its variables cannot be restored.
    """
    record, path = read_record(directory), directory / CHECKPOINT
    if not path.with_name(f"{CHECKPOINT}.index").exists():  # said before TensorFlow is loaded
        raise RunError(f"{path} cannot be restored: {path}.index does not exist")
    build = builder(record["model"], tuple(record["shape"]))
    trainer = start_trainer(build, record["params"], record["seed"])
    try:
        trainer.restore(path)
    except (CheckpointError, DataError) as error:
        trainer.session.close()
        raise RunError(str(error)) from error
    return trainer, record


def evaluate_run(directory: Path, data: DataChoice, command: str = "") -> Record:
    """Scores a finished run's model on a test set, and writes `evaluation.json` beside it.

    Args:
      directory: the run's directory.
      data: the `DataChoice` to score it on.
      command: the command line that asked for it, for the record.

    Returns:
      What was written: a dict with `format_version`, `command`, `data`, the scores as `test`, and
      what `ModelEntry.evaluate` adds.

    Raises:
      RunError: the directory holds no run, or its variables cannot be restored.
      DataError: the data cannot be had, or the model does not read them.
    """
    trainer, record = load_run(directory)
    with contextlib.closing(trainer.session):
        data_sets = data.prepared(trainer.model.params)
        entry = MODELS[record["model"]]
        names, theirs = list(data_sets.class_names or ()), list(record.get("class_names") or ())
        if entry.needs_labels(record["params"]) and names != theirs:
            raise DataError(
                f"{data_sets.name} has the classes {files.shown(names)}: the model was trained on "
                f"{files.shown(theirs)}"
            )
        test = entry.score(trainer, data_sets.test)
        evaluation = {
            "command": command,
            "data": data_sets.name,
            "test": test,
            **entry.evaluate(trainer, data_sets, record, test),
        }
    return write_json(directory / EVALUATION, evaluation)
