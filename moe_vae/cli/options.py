"""What the commands share: the parser, types of options, and options that several commands have."""

import argparse
import dataclasses
import json
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from moe_vae.data.limits import MAX_FEATURES
from moe_vae.data.own import ReadOptions
from moe_vae.experiments.exports import TrainedModel, load_model
from moe_vae.experiments.pretrained import PRETRAINED, load_pretrained
from moe_vae.experiments.runs import load_run
from moe_vae.experiments.sources import CACHE, MNIST_SOURCES, SOURCES, DataChoice, is_path
from moe_vae.experiments.study_runs import Study
from moe_vae.files import check_directory, one_line, shown
from moe_vae.models.gates import GATES
from moe_vae.params import MAX_SEED

__all__ = [
    "SCRIPT",
    "CommandError",
    "Commands",
    "Parser",
    "add",
    "add_any_data",
    "add_cache",
    "add_data",
    "add_data_dir",
    "add_epochs_and_seed",
    "add_json",
    "add_out",
    "add_reading",
    "add_run",
    "add_seeds",
    "add_study",
    "add_table",
    "add_trained",
    "assignment",
    "counted",
    "data_name",
    "data_of",
    "folder",
    "image_size",
    "new_file",
    "path",
    "png",
    "positive",
    "process_count",
    "report",
    "seconds",
    "seed",
    "share_or_path",
    "study_of",
    "trained_by",
    "trained_name",
    "whole_number",
]

# What `add_subparsers` returns.
Commands = Any

SCRIPT = "moe-vae"  # as pyproject.toml installs the program
MAX_PROCESSES = 64
MAX_NUMBER = 1_000_000
MAX_DIGITS = 12


class CommandError(ValueError):
    """A command was given a path or a choice that it cannot work with."""


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, without the usage; options need their whole names."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Exits with code 2."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


def add(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    help_text: str,
    **settings: Any,
) -> argparse.ArgumentParser:
    """Adds a command, and returns its parser.

    Args:
      commands: what `add_subparsers` returned.
      name: the command.
      run: function of the parsed words that runs it.
      help_text: what it does, one line without a full stop.
      settings: what else `ArgumentParser` is to be given.
    """
    description = f"{help_text[0].upper()}{help_text[1:]}."
    command = commands.add_parser(name, help=help_text, description=description, **settings)
    command.set_defaults(run=run)
    amount = command.add_mutually_exclusive_group()
    amount.add_argument(
        "--quiet", "-q", action="store_true", help="say nothing of the progress, only results"
    )
    amount.add_argument(
        "--verbose", "-v", action="store_true", help="say more, and show an error's origin"
    )
    return command


def add_json(command: argparse.ArgumentParser) -> None:
    """Adds that the result is printed as JSON."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def report(arguments: argparse.Namespace, result: Any, sentence: str) -> None:
    """Prints the result of a command with `add_json`: as JSON if that is asked for, else in words.

    Args:
      arguments: the parsed words.
      result: what JSON can hold.
      sentence: the same in words.
    """
    print(json.dumps(result, indent=1) if arguments.json else sentence)


def counted(number: int, noun: str) -> str:
    """Returns a number, its noun and the verb, such as "1 run is" or "3 runs are"."""
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"


# Types of options: each takes a word and returns a value, or raises ArgumentTypeError.


def assignment(text: str) -> tuple[str, Any]:
    """Splits NAME=VALUE, the value being JSON or a bare word."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value  # a bare word, such as relu; the model's own check judges it


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Returns the type of a whole number from `low` to `high`; None means a million."""
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    most = MAX_NUMBER if high is None else high

    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdigit()
        number = int(text[-MAX_DIGITS:]) if is_number else -1
        is_long = is_number and len(text.lstrip("0")) > MAX_DIGITS
        if is_number and high is None and (is_long or number > most):
            raise argparse.ArgumentTypeError(f"{shown(text)} is too large: it may be {most}")
        if not is_number or is_long or not low <= number <= most:
            raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number {allowed}")
        return number

    return parse


positive = whole_number(1)
seed = whole_number(0, MAX_SEED)
process_count = whole_number(1, MAX_PROCESSES)


def seconds(text: str) -> float:
    """Reads a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def path(text: str) -> Path:
    """Reads a path, of which there need not be anything."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(text)


def folder(text: str) -> Path:
    """Reads the path of a directory that exists or can be made."""
    _check_directory(text)
    return Path(text)


def _check_directory(directory: str | Path) -> None:
    try:
        check_directory(directory, argparse.ArgumentTypeError)
    except OSError as fault:
        raise argparse.ArgumentTypeError(
            f"{shown(str(directory))}: {fault.strerror}; it must be a directory, or not exist"
        ) from fault


def new_file(text: str) -> Path:
    """Reads the path of a file to write: its directory exists or can be made."""
    found = path(text)
    _check_directory(found.parent)
    try:
        mode = found.stat().st_mode
    except OSError as fault:
        if os.path.islink(found):
            raise argparse.ArgumentTypeError(
                f"{text!r} is a link to {os.readlink(found)}, which does not exist"
            ) from fault
        if isinstance(fault, FileNotFoundError):
            return found
        raise argparse.ArgumentTypeError(
            f"{shown(text)}: {fault.strerror}; it must be a file, or not exist"
        ) from fault
    if stat.S_ISDIR(mode):
        raise argparse.ArgumentTypeError(f"{text!r} is a directory: name a file")
    return found


def data_name(text: str) -> str:
    """Reads a key of `SOURCES`, or the path of your own data."""
    if text not in SOURCES and not is_path(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not one of {', '.join(SOURCES)}, or the path of your own data"
        )
    return text


def image_size(text: str) -> tuple[int, int]:
    """Reads height and width, as in 28x28."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(
        side.isascii() and side.isdigit() and side.strip("0") for side in sides
    ):
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not HEIGHTxWIDTH in pixels, as in 28x28"
        )
    height, width = (int(side[:MAX_DIGITS]) for side in sides)
    if max(map(len, sides)) > MAX_DIGITS or height * width > MAX_FEATURES:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} has too many pixels: there may be {MAX_FEATURES}"
        )
    return height, width


def share_or_path(text: str) -> float | Path:
    """Reads a share above 0 and below 1, or a path."""
    try:
        share = float(text)
    except ValueError:
        return path(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0 and below 1, or a path")
    return share


def png(text: str) -> Path:
    """Reads the path of a PNG file."""
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{shown(text)} does not end in .png")
    return new_file(text)


# Options that several commands have.


def add_data(command: argparse.ArgumentParser, names: Iterable[str] = MNIST_SOURCES) -> None:
    """Adds which data set, one of some keys of `SOURCES`, and where it is."""
    names = tuple(names)
    explained = _explained(names)
    command.add_argument("--data", choices=names, default="auto", help=f"the data set. {explained}")
    add_data_dir(command)


def add_any_data(command: argparse.ArgumentParser) -> None:
    """Adds which data set, a key of `SOURCES` or your own, where it is and how it is read."""
    command.add_argument(
        "--data",
        type=data_name,
        default="auto",
        metavar="DATA",
        help=f"the data set. {_explained(SOURCES)}; or the PATH of your own: a folder of pictures, "
        "a folder of IDX files, a .npz or .npy file, or a table (.csv, .tsv, .parquet)",
    )
    add_data_dir(command)
    add_reading(command)


def _explained(names: Iterable[str]) -> str:
    return "; ".join(
        f"{name}{' (default)' if name == 'auto' else ''}: {SOURCES[name].help}" for name in names
    )


def add_reading(command: argparse.ArgumentParser) -> None:
    """Adds how your own data are read."""
    group = command.add_argument_group("your own data", "how the data at a PATH are read")
    group.add_argument(
        "--kind",
        choices=("images", "points"),
        help="what they are; default: images if an example has two or more dimensions",
    )
    group.add_argument(
        "--image-size",
        type=image_size,
        metavar="HxW",
        help="height and width to which pictures are scaled, as in 28x28; default: their own",
    )
    group.add_argument(
        "--invert",
        action=argparse.BooleanOptionalAction,
        help="exchange black and white; default: if the training images are dark on light",
    )
    for part, share in (("validation", 0.1), ("test", 0.2)):
        group.add_argument(
            f"--{part}",
            type=share_or_path,
            default=share,
            metavar="SHARE|PATH",
            help=f"the share of the examples, or the file or folder, for {part}; default: {share}",
        )
    group.add_argument(
        "--skip-bad", action="store_true", help="leave out pictures that cannot be read"
    )


def add_data_dir(command: argparse.ArgumentParser) -> None:
    """Adds where MNIST is."""
    command.add_argument(
        "--data-dir",
        type=path,
        metavar="DIR",
        help="where MNIST's four files are or go; default: $MOE_VAE_DATA, or else MNIST_data",
    )


def add_cache(command: argparse.ArgumentParser) -> None:
    """Adds where nearest neighbours are kept."""
    command.add_argument(
        "--cache",
        type=folder,
        default=CACHE,
        metavar="DIR",
        help=f"where to keep the nearest neighbours that some models need; default: {CACHE}",
    )


def data_of(arguments: argparse.Namespace) -> DataChoice:
    """Returns the `DataChoice` of a command with `add_data`, and perhaps `add_cache`."""
    given = vars(arguments)
    reading = {
        field.name: given[field.name]
        for field in dataclasses.fields(ReadOptions)
        if field.name in given
    }
    return DataChoice(
        arguments.data or "auto",
        arguments.data_dir,
        given.get("cache", CACHE),
        ReadOptions(**reading),
    )


def add_epochs_and_seed(command: argparse.ArgumentParser) -> None:
    """Adds how long to train, and from which seed."""
    command.add_argument(
        "--epochs",
        type=positive,
        metavar="N",
        help="train for N epochs; default: the model's parameter `epochs`",
    )
    command.add_argument(
        "--seed",
        type=seed,
        default=42,
        help="seed of the initial weights, the batches and the noise; default: 42, as in the posts",
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """Adds the directory of a trained model."""
    command.add_argument(
        "--run",
        dest="run_dir",
        type=path,
        required=True,
        metavar="DIR",
        help="the directory that `train --out` wrote",
    )


def add_trained(command: argparse.ArgumentParser) -> None:
    """Adds which trained model: one from a run's directory or a file, or the package's own."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--run",
        dest="run_dir",
        type=path,
        metavar="DIR",
        help="the directory that `train --out` wrote",
    )
    which.add_argument(
        "--file",
        dest="model_file",
        type=path,
        metavar="NPZ",
        help="the file that `export --to npz` or an estimator's `save` wrote",
    )
    which.add_argument(
        "--pretrained",
        choices=PRETRAINED,
        help="a model that comes trained on MNIST with the package",
    )


def trained_name(arguments: argparse.Namespace) -> str:
    """Returns what the words of a command with `add_trained` call the model."""
    return str(arguments.run_dir or arguments.model_file or arguments.pretrained)


def trained_by(arguments: argparse.Namespace) -> TrainedModel:
    """Returns the `TrainedModel` of a command with `add_trained`.

    Raises:
      CommandError: the file holds an estimator of points, which scales them.
      And what `load_pretrained`, `load_model` and `load_run` raise.
    """
    if arguments.pretrained is not None:
        return load_pretrained(arguments.pretrained)
    if arguments.model_file is not None:
        return _loaded(arguments.model_file)
    trainer, record = load_run(arguments.run_dir)
    return TrainedModel(trainer.model, trainer.session, record)


def _loaded(file: Path) -> TrainedModel:
    """Returns the `TrainedModel` in a file, whose record an estimator leaves short."""
    trained = load_model(file)
    if "estimator" in trained.record and len(trained.record["shape"]) == 1:
        raise CommandError(
            f"{file} holds an estimator of points, which scales them: load it in Python with "
            "moe_vae.estimators.load"
        )
    return trained._replace(record={"data": file.name, "test": {}, **trained.record})


def add_out(command: argparse.ArgumentParser, default: Path) -> None:
    """Adds the file of the results."""
    command.add_argument(
        "--out",
        type=new_file,
        default=default,
        metavar="FILE",
        help=f"the file of the results; default: {default}",
    )


def add_seeds(command: argparse.ArgumentParser, default: Sequence[int] | None) -> None:
    """Adds the seeds of a study's runs; None means those of the recipe."""
    shown = "as in the tables" if default is None else " ".join(map(str, default))
    command.add_argument(
        "--seeds",
        type=seed,
        nargs="+",
        default=default if default is None else list(default),
        metavar="SEED",
        help=f"the seeds, one run for each; default: {shown}",
    )


def add_study(command: argparse.ArgumentParser, name: str, out: str | None = None) -> None:
    """Adds where a study's runs and results go.

    Args:
      command: the command's parser.
      name: the study.
      out: the name of the result file, without `.json`; None means `name`.
    """
    command.add_argument(
        "--runs",
        type=folder,
        default=Path("runs", name),
        metavar="DIR",
        help="where the runs go; a run that is finished there is not trained again; "
        f"default: runs/{name}",
    )
    add_out(command, Path("results", f"{out or name}.json"))


def study_of(arguments: argparse.Namespace) -> Study:
    """Returns the `Study` of a command with `add_study`."""
    return Study(arguments.runs, arguments.out, arguments.data_dir, arguments.command_line)


def add_table(command: argparse.ArgumentParser, name: str) -> None:
    """Adds what the tables of mixtures of experts have in common."""
    add_data_dir(command)
    command.add_argument(
        "--gates",
        choices=GATES,
        nargs="+",
        help="which gates; default: all that the data have a clustering for",
    )
    command.add_argument(
        "--gate-runs",
        type=folder,
        default=Path("runs", "clustering"),
        metavar="DIR",
        help="the runs of `clustering` that gates begin with; missing runs are trained "
        "first and kept there; default: runs/clustering",
    )
    command.add_argument(
        "--missing",
        action="store_true",
        help="train only the cells that the file of the results does not have yet",
    )
    add_study(command, name)
