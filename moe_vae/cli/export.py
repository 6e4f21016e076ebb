"""`export`: a trained model as a file for another program."""

import argparse
from pathlib import Path

from moe_vae.cli import options
from moe_vae.experiments.exports import (
    TARGETS,
    changed_decisions,
    export_model,
    read_run,
    write_model,
)
from moe_vae.experiments.pages import PageModel, Rounding, export_page
from moe_vae.experiments.pretrained import PRETRAINED, read_pretrained, read_sample
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.sources import SOURCES

__all__ = ["add_command", "run"]

# A page is made of several models and of examples, so it is no `Target` of one model alone.
HTML = "html"
PAGE = "page.html"
_PAGE_HELP = "one file that runs the models in a browser, without a network"


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "export", run, "write a trained model as a file for another program"
    )
    _add_models(command)
    helps = {name: target.help for name, target in TARGETS.items()} | {HTML: _PAGE_HELP}
    explained = "; ".join(f"{name}: {text}" for name, text in helps.items())
    command.add_argument("--to", choices=helps, required=True, help=f"what to write. {explained}")
    names = ", ".join([*(target.name for target in TARGETS.values()), PAGE])
    command.add_argument(
        "--out",
        type=options.path,
        metavar="PATH",
        help=f"the file or the new directory; default: {names} in the first run's directory, or "
        "in the current directory",
    )
    command.add_argument(
        "--half",
        action="store_true",
        help="store the weights of an npz in half precision, and count the examples of the run's "
        "test set whose likeliest answer this changes",
    )
    options.add_data_dir(command)
    options.add_json(command)
    command.set_defaults(data=None)


def run(arguments: argparse.Namespace) -> None:
    """Writes the export, and says where it is."""
    if arguments.half and arguments.to != "npz":
        raise options.CommandError(f"--half does not go with --to {arguments.to}; use --to npz")
    models = _models(arguments)
    name = PAGE if arguments.to == HTML else TARGETS[arguments.to].name
    path = arguments.out or Path(*arguments.run_dirs[:1], name)
    if arguments.to == HTML:
        _write_page(arguments, path, models)
        return
    if len(models) > 1:
        raise options.CommandError(
            f"--to {arguments.to} takes one model, not {len(models)}: --to {HTML} takes several"
        )
    content = models[0].content
    if not arguments.half:
        signatures = export_model(content, arguments.to, path)
        options.report(
            arguments,
            {"file": str(path), "model": content.model, "signatures": signatures},
            f"{content.model} is in {path}, with the signatures {', '.join(signatures)}.",
        )
        return
    data_sets = options.data_of(arguments).recorded(content.metadata).read()
    images = data_sets.test.images
    changed = changed_decisions(content, images)
    write_model(path, content, half=True)
    options.report(
        arguments,
        {
            "file": str(path),
            "model": content.model,
            "n_changed": changed,
            "n_examples": len(images),
        },
        f"{content.model} is in {path}, in half precision"
        + (
            "."
            if changed is None
            else f", which changes {changed:,} of {len(images):,} answers on the test set "
            f"({data_sets.name})."
        ),
    )


def _add_models(command: argparse.ArgumentParser) -> None:
    """Adds which trained models: those of runs, or of the package."""
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--run",
        dest="run_dirs",
        type=options.path,
        nargs="+",
        default=[],
        metavar="DIR",
        help=f"the directory that `train --out` wrote; several for --to {HTML}",
    )
    which.add_argument(
        "--pretrained",
        choices=PRETRAINED,
        nargs="+",
        default=[],
        help=f"a model that comes trained on MNIST with the package; several for --to {HTML}",
    )


def _models(arguments: argparse.Namespace) -> list[PageModel]:
    runs = [_model_of(path) for path in arguments.run_dirs]
    return runs + [
        PageModel(name, PRETRAINED[name].summary, read_pretrained(name))
        for name in arguments.pretrained
    ]


def _model_of(run: Path) -> PageModel:
    content = read_run(run)
    label = MODELS[content.model].label
    summary = f"{label}, trained on {content.metadata['data']} with the seed {content.seed}"
    return PageModel(run.resolve().name, f"{summary[0].upper()}{summary[1:]}.", content)


def _write_page(arguments: argparse.Namespace, path: Path, models: list[PageModel]) -> None:
    if arguments.pretrained:  # their own data need not be there
        data_set, data_name = read_sample(), SOURCES["sample"].title
    else:
        data_sets = options.data_of(arguments).recorded(models[0].content.metadata).read()
        data_set, data_name = data_sets.test, f"test set of {data_sets.name}"
    n_bytes, roundings = export_page(path, models, data_set, data_name)
    described = [f"{each.name}: {_described(each)}" for each in roundings]
    options.report(
        arguments,
        {"file": str(path), "n_bytes": n_bytes, "models": [each._asdict() for each in roundings]},
        "\n".join([f"{path}: {n_bytes:,} bytes", *described]),
    )


def _described(rounding: Rounding) -> str:
    weights = (
        "in half precision"
        if rounding.steps is None
        else f"rounded to {rounding.steps} steps for the root mean square of a column"
    )
    if rounding.n_changed is None:
        return f"weights {weights}, which changes a pixel by at most {rounding.most:.4f}"
    return (
        f"weights {weights}, which changes {rounding.n_changed} of {rounding.n_examples} answers, "
        f"and a probability by at most {rounding.most:.4f}"
    )
