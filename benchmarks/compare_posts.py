"""Scores the runs that `tensorflow_1_posts.py` saved, with the measures of this package's runs.

It writes results/tensorflow_1_15_seeds.json: one record for each post and seed, in the form of
those in results/posts.json (`history`, `seconds`, `test`, `evaluation`), so that the two files can
be compared. It trains one recogniser, which scores the pictures of the saved runs of post 2. The
file's records of other runs stay there.

Usage: python benchmarks/compare_posts.py [--runs DIR] [--data-dir DIR] [--out FILE.json]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.data.checks import NUM_CLASSES
from moe_vae.data.mnist import read_mnist
from moe_vae.evaluation.metrics import clustering_scores, confusion_table
from moe_vae.evaluation.recogniser import train_recogniser
from moe_vae.files import write_whole
from moe_vae.training.trainer import Trainer

RECOGNISER_SEED = 0


def score_digits(labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Scores post 2's digit classifier."""
    return {"accuracy": float((predicted == labels).mean())}


def score_clusters(labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Scores post 3's manager, which has as many experts as there are digits."""
    sizes = (NUM_CLASSES, NUM_CLASSES)
    return {
        **clustering_scores(labels, predicted, *sizes),
        "confusion": confusion_table(labels, predicted, *sizes).tolist(),
    }


SCORES = {"conditional-vae": score_digits, "mixture-of-vaes": score_clusters}


def score_pictures(recogniser: Trainer, pictures: np.ndarray) -> dict[str, Any]:
    """Returns the share of pictures that the recogniser reads as their digit.

    Args:
      recogniser: the `Trainer` of a `Recogniser`.
      pictures: float array [n, 784], the same number for each digit, in the digits' order.
    """
    digits = np.repeat(np.arange(NUM_CLASSES), len(pictures) // NUM_CLASSES)
    right = recogniser.model.predict(recogniser.session, pictures) == digits
    by_digit = right.reshape(NUM_CLASSES, -1).mean(axis=1)
    return {"share": float(right.mean()), "share_by_digit": by_digit.tolist()}


def score_run(path: Path, labels: np.ndarray, judge: tuple[Trainer, float]) -> dict[str, Any]:
    """Returns the record of a saved run, with its scores.

    Args:
      path: a file that `tensorflow_1_posts.py` wrote.
      labels: whole-number array [n], the labels of the test images.
      judge: the `Trainer` of a `Recogniser`, and its accuracy on the test images.
    """
    with np.load(path) as saved:
        record = json.loads(str(saved["record"]))
        predictions = saved["predictions"]
        pictures = saved.get("pictures")
    score = SCORES[record["model"]]
    record["test"] = {**score(labels, predictions[-1]), "losses": record.pop("test_losses")}
    record["test_accuracy_by_epoch"] = [
        score(labels, of_epoch)["accuracy"] for of_epoch in predictions
    ]
    if pictures is not None:
        recogniser, accuracy = judge
        record["evaluation"] = {
            "recogniser_accuracy": accuracy,
            "generation": score_pictures(recogniser, pictures),
        }
    return record


def main() -> None:
    """Scores all saved runs, and writes the records."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs/tensorflow_1_15"),
        help="directory of the saved runs; default: %(default)s",
    )
    parser.add_argument("--data-dir", help="where MNIST's four files are; see `read_mnist`")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results/tensorflow_1_15_seeds.json"),
        help="default: %(default)s",
    )
    arguments = parser.parse_args()
    paths = [path for path in arguments.runs.glob("*.npz") if not path.stem.endswith(".part")]
    if not paths:
        parser.error(f"--runs is {arguments.runs}: it holds no .npz file of a run")

    data_sets = read_mnist(arguments.data_dir, data="mnist")
    judge = train_recogniser(data_sets, RECOGNISER_SEED)
    scored = [score_run(path, data_sets.test.labels, judge) for path in paths]
    kept = json.loads(arguments.out.read_bytes())["runs"] if arguments.out.exists() else []
    by_run = {(run["model"], run["seed"]): run for run in (*kept, *scored)}
    runs = [by_run[key] for key in sorted(by_run)]
    results = {"command": " ".join(["python", *sys.argv]), "data": data_sets.name, "runs": runs}
    write_whole(arguments.out, (json.dumps(results, indent=1) + "\n").encode())
    for run in scored:
        generation = run.get("evaluation", {}).get("generation", {}).get("share")
        print(run["model"], run["seed"], run["test"]["accuracy"], generation or "")
    print(f"{len(runs)} runs are in {arguments.out}.")


if __name__ == "__main__":
    main()
