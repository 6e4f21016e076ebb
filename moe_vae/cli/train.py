"""`train`: one model, alone or as one task of a cluster of processes."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moe_vae.cli import options
from moe_vae.distributed.processes import WAIT_SECONDS, join_cluster
from moe_vae.distributed.servers import JOBS
from moe_vae.experiments.engine_choice import AUTO
from moe_vae.experiments.registry import ENGINES, MODELS, engines_of
from moe_vae.experiments.run_files import METRICS, TENSORBOARD, RunInterrupted
from moe_vae.experiments.runs import (
    TrainOptions,
    check_directory,
    check_engine,
    check_new,
    follow_run,
    run_params,
    train_run,
)
from moe_vae.experiments.sources import DataChoice
from moe_vae.messages import detail
from moe_vae.models.specialists import ROUTINGS
from moe_vae.schedules import SCHEDULES

if TYPE_CHECKING:
    from moe_vae.distributed.member import Member

__all__ = ["add_command", "add_options", "add_way_of_training", "check", "run"]

# The model whose manager learns in one of several ways.
ROUTED = "mixture-of-vaes"

# Of the summary of a training.
MAX_SCORES = 8
NAME_WIDTH = 36  # characters


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(commands, "train", run, "train one model, save it and its scores")
    add_options(command)
    _add_task(command)
    _add_engine(command)


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds what `train` and `cluster` have in common."""
    command.add_argument("model", choices=tuple(MODELS), help="which model")
    options.add_any_data(command)
    options.add_epochs_and_seed(command)
    _add_settings(command)
    command.add_argument(
        "--out", type=options.folder, required=True, metavar="DIR", help="where to write"
    )
    command.add_argument(
        "--from",
        dest="start",
        type=options.path,
        metavar="DIR",
        help="start from the trained model in DIR: from its variables of the same names, and with "
        "its parameters of the networks",
    )
    options.add_cache(command)
    _add_checkpoints(command)
    command.add_argument(
        "--tensorboard",
        action="store_true",
        help=f"log curves, gradient norms, pictures and the graph to DIR/{TENSORBOARD}",
    )
    options.add_json(command)


def _add_settings(command: argparse.ArgumentParser) -> None:
    for name in ("experts", "clusters"):
        command.add_argument(
            f"--{name}",
            type=options.positive,
            metavar="N",
            help=f"number of {name}; default: that of the data's classes, or else 10 (images) or "
            "5 (points)",
        )
    command.add_argument(
        "--set",
        type=options.assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the model, as in --set z_dim=5 or --set 'encoder_layers=[64]'; "
        "may be repeated",
    )
    command.add_argument(
        "--routing",
        choices=ROUTINGS,
        help=f"how the manager of {ROUTED} learns. post (default): as in the post. balanced: "
        "as in the post, but balanced by entropy. information: by mutual information, so that each "
        "expert draws one digit. labels: not at all; each expert gets the images of one label",
    )
    command.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help="how the learning rate changes over the epochs; default: the model's own",
    )


def _add_checkpoints(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--resume",
        action="store_true",
        help="resume from the last checkpoint in DIR, or begin if there is none",
    )
    command.add_argument(
        "--checkpoint-every",
        type=options.positive,
        default=1,
        metavar="N",
        help="write a checkpoint every N epochs; default: 1",
    )
    command.add_argument(
        "--keep",
        type=options.positive,
        default=3,
        metavar="K",
        help="keep the last K checkpoints; default: 3",
    )


def _add_engine(command: argparse.ArgumentParser) -> None:
    models = {
        engine: ", ".join(model for model in MODELS if engine in engines_of(model))
        for engine in ENGINES
    }
    command.add_argument(
        "--engine",
        choices=(AUTO, *ENGINES),
        default=AUTO,
        help=f"how the model is computed. {AUTO} (default): by the fastest engine that was "
        "measured for such a training, else by plain. plain: as in the posts, for every model. "
        f"fused: with a graph written for speed, on images, for {models['fused']}. compiled: with "
        f"XLA, for {models['compiled']}",
    )


def _add_task(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "one task of a cluster", "the same command on every host, but for --job and --task"
    )
    group.add_argument(
        "--cluster",
        type=options.path,
        metavar="FILE",
        help='the tasks\' addresses, as JSON: {"ps": ["host:port"], "worker": ["host:port", ...]}',
    )
    group.add_argument("--job", choices=JOBS, help="parameter server or worker")
    group.add_argument(
        "--task",
        type=options.whole_number(0),
        metavar="N",
        help="its number, from 0; worker 0 writes to DIR",
    )
    add_way_of_training(group)


def add_way_of_training(command: Any) -> None:
    """Adds how the workers of a cluster train together, to a parser or a group of options."""
    command.add_argument(
        "--asynchronous",
        action="store_true",
        help="apply each worker's gradient on its own, without waiting for the other workers; "
        "default: each step applies the mean of all workers' gradients",
    )
    command.add_argument(
        "--wait",
        type=options.seconds,
        metavar="SECONDS",
        help="how long a worker waits for a parameter server or another worker that cannot be "
        "reached, and a parameter server for any worker; "
        f"default: {WAIT_SECONDS:.0f}",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains, or takes part in the training of a cluster."""
    data = options.data_of(arguments)
    params = check(arguments, data)
    trained = _options_of(arguments)
    check_engine(arguments.model, data.form, params, trained, arguments.cluster is not None)
    member = _join_cluster(arguments)
    if member is not None and not member.is_chief:
        follow_run(arguments.model, data, params, trained, member)
        return
    detail(f"The parameters are {json.dumps(params, default=str)}.")
    record = train_run(arguments.model, data, arguments.out, params, trained, member)
    if arguments.json:
        print(json.dumps(record["test"], indent=1))
    else:
        print("\n".join(summary(record, arguments.out)))
    if record["interrupted"]:
        raise RunInterrupted(
            f"interrupted after {len(record['seconds'])} epochs: what was learned is in "
            f"{arguments.out}/, and --resume continues",
            record.get("terminated", False),
        )


def summary(record: dict[str, Any], out: Path) -> list[str]:
    """Returns what a finished training says of itself: at most ten lines.

    Args:
      record: the run's record.
      out: its directory.
    """
    scores = {
        " ".join(filter(None, (part, name))): value
        for part, values in (("", record["test"]), *_tables(record["test"]))
        for name, value in values.items()
        if isinstance(value, float)
    }
    lines = [
        f"  {name.replace('_', ' '):<{NAME_WIDTH}}{value:.4f}" for name, value in scores.items()
    ]
    epochs, seconds = len(record["seconds"]), sum(record["seconds"])
    return [
        f"{record['model']} on {record['data']}: {epochs} epochs in {seconds:.1f} s",
        *lines[:MAX_SCORES],
        f"The model, its figures and {METRICS}, with all scores on the test set, are in {out}/.",
    ]


def _tables(scores: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, value) for name, value in scores.items() if isinstance(value, dict))


def check(arguments: argparse.Namespace, data: DataChoice) -> dict[str, Any]:
    """Returns all parameters of the model, checked before the data are read or downloaded.

    Your own data are read, because a model's parameters depend on their form.
    """
    given = dict(arguments.set)
    for name, (option, value) in _named(arguments).items():
        if name in given:
            raise options.CommandError(
                f"--set {name} and {option} both set the parameter {name!r}: give one of them"
            )
        given[name] = value
    check_directory(arguments.out)
    check_new(arguments.out, arguments.resume)
    return run_params(arguments.model, data.form, given, arguments.start)


def _named(arguments: argparse.Namespace) -> dict[str, tuple[str, Any]]:
    """Returns the parameters that have options of their own: by name, the option and its value."""
    named: dict[str, tuple[str, Any]] = {}
    if arguments.epochs is not None:
        named["epochs"] = "--epochs", arguments.epochs
    if arguments.routing is not None:
        if arguments.model != ROUTED:
            raise options.CommandError(f"--routing is for {ROUTED}, not for {arguments.model}")
        named["routing"] = "--routing", arguments.routing
    for option in ("experts", "clusters"):
        if (number := getattr(arguments, option)) is not None:
            named[_counter(arguments.model, option)] = f"--{option}", number
    return named


def _counter(model: str, option: str) -> str:
    """Returns the parameter that `--experts` or `--clusters` sets."""
    counter = MODELS[model].counter
    if counter != f"n_{option}":
        other = "has none" if counter is None else f"has the parameter {counter!r}"
        raise options.CommandError(f"--{option} is not for {model}, which {other}")
    return counter


def _join_cluster(arguments: argparse.Namespace) -> "Member | None":
    """Starts this process's server in the cluster that the words name; None without one."""
    given = {
        "--job": arguments.job is not None,
        "--task": arguments.task is not None,
        "--asynchronous": arguments.asynchronous,
        "--wait": arguments.wait is not None,
    }
    if arguments.cluster is None:
        for name in (name for name, is_given in given.items() if is_given):
            raise options.CommandError(
                f"{name} needs --cluster, the file with the addresses of the tasks"
            )
        return None
    for name in ("--job", "--task"):
        if not given[name]:
            raise options.CommandError(f"--cluster needs {name}: which task this process is")
    return join_cluster(
        arguments.cluster,
        arguments.job,
        arguments.task,
        synchronous=not arguments.asynchronous,
        wait_seconds=WAIT_SECONDS if arguments.wait is None else arguments.wait,
    )


def _options_of(arguments: argparse.Namespace) -> TrainOptions:
    return TrainOptions(
        seed=arguments.seed,
        engine=arguments.engine,
        schedule=arguments.schedule,
        start=arguments.start,
        resume=arguments.resume,
        checkpoint_every=arguments.checkpoint_every,
        keep=arguments.keep,
        tensorboard=arguments.tensorboard,
        command=arguments.command_line,
    )
