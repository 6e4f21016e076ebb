"""What the studies share: where the runs go, and how what is missing of them is trained."""

import contextlib
import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moe_vae.experiments.recipes import Experiment, Step
from moe_vae.experiments.registry import default_params
from moe_vae.experiments.run_files import (
    CHECKPOINTS,
    EVALUATION,
    METRICS,
    RunError,
    RunInterrupted,
    read_json,
    read_record,
    write_json,
)
from moe_vae.experiments.runs import TrainOptions, evaluate_run, load_run, run_params, train_run
from moe_vae.experiments.sources import CACHE, DataChoice

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Study", "copy_figures", "evaluated", "finish_run", "finish_step", "measured"]

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Study:
    """Where a study's runs and results go, and where its data come from.

    Attributes:
      runs: the directory of the runs' directories.
      out: the JSON file of the results; the figures go to `figures` beside it.
      data_dir: where MNIST's four files are or go; see `DataChoice`.
      command: the command line that asked for the study, for the records.
      cache: see `DataChoice`.
    """

    runs: Path
    out: Path
    data_dir: str | Path | None = None
    command: str = ""
    cache: Path | None = CACHE

    @property
    def figures(self) -> Path:
        """The directory of the figures."""
        return self.out.parent / "figures"

    def data(self, name: str) -> DataChoice:
        """Returns the `DataChoice` of a data set's name."""
        return DataChoice(name, self.data_dir, self.cache)

    def read(self) -> Record:
        """Returns the results so far.

        Raises:
          RunError: the file is missing, or is not what `write` writes.
        """
        from moe_vae.schemas import Results

        return read_json(self.out, Results)

    def recorded(self, name: str, schema: "type[BaseModel]") -> list[Record]:
        """Returns the records in the results so far; none if there is no file.

        Args:
          name: "runs" or "cells".
          schema: a class of `moe_vae.schemas`, of the file.

        Raises:
          RunError: the file is not what `write` writes.
        """
        return read_json(self.out, schema)[name] if self.out.exists() else []

    def write(self, **results: Any) -> None:
        """Writes the results so far."""
        write_json(self.out, {"command": self.command, **results})


def finish_run(
    study: Study,
    model: str,
    data: str,
    run_dir: Path,
    seed: int,
    params: Record | None = None,
    start: Path | None = None,
    scores_epochs: bool = False,
    engine: str = "plain",
) -> Record:
    """Trains a run if it is not finished, and deletes its checkpoints.

    Args:
      study: the `Study`.
      model: a key of `MODELS`.
      data: a key of `SOURCES`.
      run_dir: the run's directory.
      seed: the run's seed.
      params: dict of the parameters that differ from the model's defaults.
      start: the directory of the run that it begins with, or None.
      scores_epochs, engine: see `TrainOptions`.

    Returns:
      The run's record.

    Raises:
      RunError: the run was interrupted, or the directory holds another run.
      And what `train_run` raises.
    """
    params = params or {}
    finished = read_record(run_dir) if (run_dir / METRICS).exists() else None
    if finished is None or finished.get("interrupted"):
        options = TrainOptions(
            seed=seed,
            start=start,
            resume=run_dir.exists(),
            scores_epochs=scores_epochs,
            engine=engine,
            command=study.command,
        )
        record = train_run(model, study.data(data), run_dir, params, options)
        if record["interrupted"]:
            raise RunInterrupted(
                f"{run_dir} was interrupted: run the same command again to resume it",
                record.get("terminated", False),
            )
    else:
        form = study.data(data).form
        asked = {
            "model": model,
            "data": study.data(data).title,
            "seed": seed,
            "start": None if start is None else start.name,
            "engine": engine,
            **run_params(model, form, params, start),
        }
        # Older versions had fewer parameters: what is missing had today's default.
        _check_same(run_dir, finished, default_params(model, form, params), asked)
        if scores_epochs:
            _check_scored(run_dir, finished)
    if (run_dir / CHECKPOINTS).exists():
        shutil.rmtree(run_dir / CHECKPOINTS)  # there is nothing left to resume
    return read_record(run_dir)


def _check_same(run_dir: Path, record: Record, defaults: Record, asked: Record) -> None:
    """Raises RunError if a finished run is not the one that is asked for."""
    start = record.get("start")
    theirs = {
        **{name: record.get(name) for name in ("model", "data", "seed")},
        "start": None if start is None else Path(start).name,
        "engine": record.get("engine", "plain"),
        **defaults,
        **record["params"],
    }
    for name, value in asked.items():
        if theirs.get(name) != value:
            raise RunError(
                f"{run_dir} holds a run with {name} {theirs.get(name)!r}, not {value!r}: "
                "delete it, or name another directory"
            )


def _check_scored(run_dir: Path, record: Record) -> None:
    """Raises RunError if a run has no accuracy after each epoch."""
    n_scored = len(record.get("history", {}).get("accuracy", ()))
    n_epochs = len(record.get("seconds", ()))
    if n_scored < n_epochs:
        raise RunError(
            f"{run_dir} holds a run with the accuracy after {n_scored} of {n_epochs} epochs, not "
            "all: delete it, or name another directory"
        )


def finish_step(study: Study, steps: dict[str, Step], name: str, data: str, seed: int) -> Path:
    """Trains a step, and those that come before it, if they are not finished.

    Args:
      study: the `Study`.
      steps: dict of name to `Step`.
      name: a key of `steps`.
      data: a key of `SOURCES`.
      seed: the runs' seed.

    Returns:
      The directory of the step's run.

    Raises:
      What `finish_run` raises.
    """
    step, run_dir = steps[name], study.runs / f"{name}-{data}-{seed}"
    start = None if step.before is None else finish_step(study, steps, step.before, data, seed)
    params = {**step.params, **dict.fromkeys(step.seeded, seed)}
    finish_run(
        study, step.model, data, run_dir, seed, params, start, step.scores_epochs, step.engine
    )
    return run_dir


def evaluated(study: Study, run_dir: Path, data: str) -> Record:
    """Returns a finished run's record with its `evaluation`, made now if there is none on its data.

    Args:
      study: the `Study`.
      run_dir: the run's directory.
      data: a key of `SOURCES`.
    """
    from moe_vae.schemas import Evaluation

    path, record = run_dir / EVALUATION, read_record(run_dir)
    if not path.exists() or read_json(path, Evaluation).get("data") != record["data"]:
        evaluate_run(run_dir, study.data(data), study.command)
    return {**record, "evaluation": read_json(path, Evaluation)}


def measured(study: Study, run_dir: Path, experiment: Experiment) -> Record:
    """Returns what an experiment measures of a finished run, measured now if it was not.

    Args:
      study: the `Study`.
      run_dir: the run's directory.
      experiment: the `Experiment`.

    Returns:
      Dict with `measured`; an empty one if the experiment measures nothing.
    """
    from moe_vae.schemas import Measured

    if experiment.measure is None:
        return {}
    # Studies share runs, and each measures them in its own way.
    path = run_dir / f"{experiment.measure.__name__}.json"
    if not path.exists():
        trainer, record = load_run(run_dir)
        with contextlib.closing(trainer.session):
            data_sets = study.data(experiment.data).prepared(trainer.model.params)
            write_json(path, experiment.measure(trainer, data_sets, record))
    return {"measured": read_json(path, Measured)}


def copy_figures(run_dir: Path, directory: Path, prefix: str) -> None:
    """Copies a run's figures to a directory, each under its name after `prefix`."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(run_dir.glob("*.png")):
        shutil.copy(path, directory / f"{prefix}_{path.name}")
