"""`classify`: which digit, class, expert or cluster pictures belong to."""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.cli import options
from moe_vae.data.checks import DataError
from moe_vae.data.folders import read_images
from moe_vae.evaluation.familiarity import QUANTILES, measure_losses
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.experiments.exports import TrainedModel
from moe_vae.experiments.run_files import read_record

__all__ = ["add_command", "run"]

Record = dict[str, Any]


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "classify", run, "say which digit, expert or cluster pictures belong to"
    )
    command.add_argument(
        "pictures",
        type=options.path,
        nargs="+",
        metavar="PICTURE",
        help="PNG, JPEG or other picture files that Pillow reads, or folders of them, of any size "
        "and colour",
    )
    options.add_trained(command)
    command.add_argument(
        "--invert",
        action=argparse.BooleanOptionalAction,
        help="exchange black and white; default: as the training images were read, or without such "
        "a record of each picture that is dark on light",
    )
    command.add_argument(
        "--skip-bad", action="store_true", help="leave out pictures that cannot be read"
    )
    command.add_argument(
        "--unlike",
        choices=QUANTILES,
        default="0.99",
        metavar="Q",
        help="say of a picture that it is unlike the training set if its loss is above the "
        f"quantile Q of the training losses, one of {', '.join(QUANTILES)}; default: 0.99",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON list, one entry a picture")
    form.add_argument("--csv", action="store_true", help="print a table, one row a picture")


def run(arguments: argparse.Namespace) -> None:
    """Prints each picture's likeliest answer, its probability, and what else is known of it."""
    if arguments.run_dir is not None:  # said before TensorFlow is loaded
        _check_shape(arguments, read_record(arguments.run_dir))
    for path in arguments.pictures:
        if not path.exists():
            raise DataError(f"{path}: does not exist")
    trained = options.trained_by(arguments)
    _check_shape(arguments, trained.record)
    invert = arguments.invert
    if invert is None:  # pictures must be read as the training images were
        invert = trained.record.get("inverted")
    height, width = trained.record["shape"]
    images, _, files = read_images(arguments.pictures, (height, width), invert, arguments.skip_bad)
    rows = _rows(files, images, trained, arguments.unlike)
    if arguments.json:
        print(json.dumps(rows, indent=1))
    elif arguments.csv:
        table = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    else:
        for row in rows:
            where = f"{row['file']}: " if len(files) > 1 else ""
            print(where + _sentence(row, trained))


def _check_shape(arguments: argparse.Namespace, record: Record) -> None:
    if len(record["shape"]) != 2:
        raise options.CommandError(
            f"{options.trained_name(arguments)} was trained on the {record['data']}, which are "
            "points: classify reads pictures"
        )


def _rows(
    files: list[Path], images: np.ndarray, trained: TrainedModel, quantile: str
) -> list[Record]:
    """Returns what is known of each picture."""
    model, session, record = trained
    probabilities = model.predict_proba(session, images)
    likeliest = probabilities.argmax(axis=1)
    losses = measure_losses(model, session, images)
    limit = record.get("loss_quantiles", {}).get(quantile)
    classes = _classes(trained)
    # A model of digits may have been trained on classes of other things.
    is_class = model.answer == "digit" and record.get("class_names") is not None
    column = "class_number" if is_class else model.answer
    rows = []
    for number, (path, answer) in enumerate(zip(files, likeliest.tolist(), strict=True)):
        row: Record = {
            "file": str(path),
            column: answer,
            "probability": round(float(probabilities[number, answer]), 4),
            "class": classes.get(answer),
        }
        if losses is not None:
            row["loss"] = round(float(losses[number]), 3)
            row["unlike"] = None if limit is None else bool(losses[number] > limit)
        rows.append(row)
    return rows


def _classes(trained: TrainedModel) -> dict[int, str]:
    """Returns the name of each answer's class, as far as there are labels."""
    model, _, record = trained
    names = record.get("class_names")
    if model.answer in ("digit", "class"):
        # The columns of a mixture of experts are its experts.
        n_classes = model.n_columns if model.answer == "digit" else model.params["n_outputs"]
        labels = {number: number for number in range(n_classes)}
    else:
        confusion = record["test"].get("confusion")
        labels = {} if confusion is None else match_clusters(np.array(confusion))
    return {key: str(value) if names is None else names[value] for key, value in labels.items()}


def _sentence(row: Record, trained: TrainedModel) -> str:
    """Says in words what a row holds."""
    model, _, record = trained
    sure = f"(probability {row['probability']:.3f})"
    named = record.get("class_names") is not None
    unlike = ", unlike anything in the training set" if row.get("unlike") else ""
    if model.answer in ("digit", "class"):
        return f"{row['class'] if named else 'digit ' + row['class']} {sure}{unlike}"
    said = f"{model.answer} {row[model.answer]} {sure}"
    if "confusion" not in record["test"]:
        return said + unlike
    matched = "no " + ("class" if named else "digit")
    if row["class"] is not None:
        matched = row["class"] if named else f"digit {row['class']}"
    return f"{said}, matched with {matched}{unlike}"
