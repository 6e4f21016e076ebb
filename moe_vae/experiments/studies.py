"""The studies: one function for each table, which trains and evaluates the table's runs.

A run that is finished is not trained again, and one that was interrupted is resumed. The results
are written after every run, so that a study can be interrupted at any time.
"""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from moe_vae.evaluation.clustering import score_baselines
from moe_vae.experiments.recipes import (
    CLUSTERING_SEEDS,
    CLUSTERING_STEPS,
    FIRST_GATE_SEEDS,
    POST_SEEDS,
    RECIPES,
    TABLE_1_PARAMS,
    TABLE_2_PARAMS,
    TABLE_2_TASK,
    Experiment,
    Recipe,
)
from moe_vae.experiments.registry import MODELS, POST_MODELS, default_params
from moe_vae.experiments.run_files import (
    RunError,
    RunInterrupted,
    read_record,
    save_figures,
    write_json,
)
from moe_vae.experiments.runs import TrainOptions, fit_model, run_params
from moe_vae.experiments.sources import SOURCES, DataChoice, is_points
from moe_vae.experiments.study_runs import (
    Study,
    copy_figures,
    evaluated,
    finish_run,
    finish_step,
    measured,
)
from moe_vae.messages import say
from moe_vae.models.gates import GATES
from moe_vae.plots.concepts import concept_figures
from moe_vae.plots.regression import plot_errors
from moe_vae.training.checkpoints import locked

__all__ = [
    "OWN_OBJECTIVE",
    "by_recipe",
    "clustering",
    "clustering_baselines",
    "figures",
    "posts",
    "table1",
    "table2",
]

# What a table keeps of the run that filled a cell, beside the seed of the clustering it began with.
CELL_RECORD = ("command", "data", "seed", "params", "seconds", "test", "versions")
OWN_OBJECTIVE = "own"  # a gate's default
POST_NUMBERS = {"conditional-vae": "post2", "mixture-of-vaes": "post3"}

Record = dict[str, Any]


# The posts.


def figures(
    out: Path, data: DataChoice, epochs: int | None = None, seed: int = 42, command: str = ""
) -> None:
    """Draws every figure of both posts, their models trained for it.

    A training that was interrupted in `out` is resumed.

    Args:
      out: the directory of the figures and of the models' records.
      data: the `DataChoice`.
      epochs: number of epochs; None means the posts' own.
      seed: the trainings' seed.
      command: the command line that asked for it, for the records.

    Raises:
      What `train_run` raises.
    """
    given = {} if epochs is None else {"epochs": epochs}
    params = {name: run_params(name, data.form, given) for name in POST_MODELS}
    save_figures(concept_figures(), out, "post3_")
    options = TrainOptions(seed=seed, resume=True, checkpoint_every=5, keep=1, command=command)
    for name in POST_MODELS:
        run_dir = out / f"{POST_NUMBERS[name]}_{name}"
        data_sets = data.read()  # anew, in their first order, so that a seed gives one run
        with locked(run_dir):
            trainer, record = fit_model(name, params[name], data_sets, run_dir, options)
            with contextlib.closing(trainer.session):
                if not trainer.terminated:
                    drawn = MODELS[name].draw(trainer, record, data_sets.test)
                    save_figures(drawn, out, f"{run_dir.name}_")
                write_json(run_dir.with_suffix(".json"), record)
            if trainer.interrupted:
                raise RunInterrupted(
                    f"{run_dir} was interrupted: run the same command again to resume it",
                    trainer.terminated,
                )
    for name in POST_MODELS:  # there is nothing left to resume
        shutil.rmtree(out / f"{POST_NUMBERS[name]}_{name}")


def posts(
    study: Study,
    data: str = "auto",
    seeds: Sequence[int] = POST_SEEDS,
    models: Sequence[str] = tuple(POST_MODELS),
) -> list[Record]:
    """Trains and evaluates the posts' models from several seeds.

    Runs that the results' file has besides are kept.

    Args:
      study: the `Study`.
      data: a key of `SOURCES`.
      seeds: the runs' seeds. The figures are those of the first run of each model in the results'
        file, by default of the post's own seed.
      models: which of `POST_MODELS`.

    Returns:
      The trained runs' records, each with its `evaluation`.

    Raises:
      RunError: a run was interrupted, its directory holds another one, or the results' file has
        runs on other data.
      And what `train_run` and `evaluate_run` raise.
    """
    kept = _kept_on(study, data)
    runs: list[Record] = []
    for name in models:
        for seed in seeds:
            run_dir = study.runs / f"{name}-{seed}"
            finish_run(study, name, data, run_dir, seed)
            runs.append(evaluated(study, run_dir, data))
            merged = {(each["model"], each["seed"]): each for each in (*kept, *runs)}
            # Stable: each model's runs stay in the order in which they came.
            study.write(runs=sorted(merged.values(), key=lambda each: each["model"]))
        first = next(record["seed"] for record in merged.values() if record["model"] == name)
        if first in seeds:
            copy_figures(study.runs / f"{name}-{first}", study.figures, name)
    save_figures(concept_figures(), study.figures, "post3_")
    return runs


def _kept_on(study: Study, data: str) -> list[Record]:
    """Returns the runs that the results' file has, which must be on the same data."""
    from moe_vae.schemas import RunResults

    kept = study.recorded("runs", RunResults)
    if not kept:
        return []
    title = study.data(data).title
    for record in kept:
        if record["data"] != title:
            raise RunError(
                f"{study.out} holds runs on {record['data']}, not on {title}: name another file "
                "with --out"
            )
    return kept


# The paper's clusterings.


def clustering(
    study: Study, data: str = "auto", seeds: Sequence[int] | None = None
) -> list[Record]:
    """Trains and evaluates VaDE and DMVAE from several seeds, and scores the baselines.

    Args:
      study: the `Study`.
      data: a key of `SOURCES`.
      seeds: the runs' seeds, the figures are the last one's; None means `CLUSTERING_SEEDS`.

    Returns:
      The runs' records, each with its `evaluation`.

    Raises:
      RunError: a run was interrupted, its directory holds another one, or the results' file has
        runs that this study would not write.
      And what `train_run` and `evaluate_run` raise.
    """
    seeds = seeds or CLUSTERING_SEEDS[_kind(data)]
    steps = CLUSTERING_STEPS[_kind(data)]
    for record in _kept_on(study, data):  # nothing of it may be lost
        if record["model"] not in steps or record["seed"] not in seeds:
            raise RunError(
                f"{study.out} holds a run of {record['model']} with seed {record['seed']}, which "
                "would be lost: name another file with --out, or delete it"
            )
    baselines, runs = _baselines(study, data, seeds), []
    for name in steps:
        for seed in seeds:
            run_dir = finish_step(study, steps, name, data, seed)
            runs.append(evaluated(study, run_dir, data))
            study.write(baselines=baselines, runs=runs)
        copy_figures(run_dir, study.figures, f"{name}_{data}")
    return runs


def clustering_baselines(study: Study, data: str, seeds: Sequence[int] | None = None) -> None:
    """Scores the baselines of `clustering` anew; its file keeps its runs as they are.

    Args:
      study: the `Study`; its results were written by `clustering`.
      data, seeds: see `clustering`.

    Raises:
      RunError: there is no file of results, or it cannot be read.
      DataError: the data cannot be had.
    """
    kept = study.read()
    seeds = seeds or CLUSTERING_SEEDS[_kind(data)]
    kept.pop("format_version", None)  # today's is written
    study.write(**{**kept, "baselines": _baselines(study, data, seeds)})


def _baselines(study: Study, data: str, seeds: Sequence[int]) -> list[Record]:
    data_sets = study.data(data).read()
    return [
        {"seed": seed, **score_baselines(data_sets.train.images, data_sets.test, seed)}
        for seed in seeds
    ]


def _kind(data: str) -> str:
    return "points" if is_points(data) else "images"


# The paper's tables.


class _Cell(NamedTuple):
    """A cell of a table of mixtures of experts: the run that fills it.

    Attributes:
      name: the name of the run's directory.
      data: a key of `SOURCES`.
      seed: the run's seed.
      params: dict of the parameters that differ from the model's defaults; `gate` is among them.
    """

    name: str
    data: str
    seed: int
    params: Record


def table1(
    study: Study,
    gate_runs: Path,
    data: Sequence[str] = ("spiral", "mnist"),
    gates: Sequence[str] | None = None,
    objectives: Sequence[str] = (OWN_OBJECTIVE,),
    outputs: Sequence[int] = (1, 2, 5),
    draws: int = 10,
    missing: bool = False,
) -> list[Record]:
    """Trains the regressions of the paper's Table 1, and draws the errors of all cells.

    Args:
      study: the `Study`.
      gate_runs: the directory of the clusterings that gates begin with, as `clustering` leaves
        them; what is missing there is trained. Each draw begins with a clustering of its own.
      data: keys of `SOURCES`.
      gates: keys of `GATES`; None means all whose clustering the data have.
      objectives: task objectives; `OWN_OBJECTIVE` is each gate's default.
      outputs: numbers of dimensions of the targets.
      draws: number of draws of the targets; each is also a run's seed.
      missing: whether the cells that the table's file has already are not trained again.

    Returns:
      The cells: what the table keeps of each run.

    Raises:
      RunError: a run was interrupted, its directory holds another one, or a gate cannot begin with
        a clustering of the data.
      And what `train_run` raises.
    """
    from moe_vae.schemas import CellResults

    cells = [
        _regression_cell(data_name, gate, objective, n_outputs, draw)
        for data_name in data
        for gate in _gates(data_name, gates)
        for objective in objectives
        for n_outputs in outputs
        for draw in range(draws)
    ]
    filled = _fill_cells(study, cells, gate_runs, missing)
    if list(objectives) == [OWN_OBJECTIVE]:  # a panel holds one objective of each gate
        errors = plot_errors(study.recorded("cells", CellResults))
        save_figures({f"{study.out.stem}_errors": errors}, study.figures)
    return filled


def _gates(data: str, asked: Sequence[str] | None) -> list[str]:
    """Returns the gates that are asked for; without any, those whose clustering the data have."""
    steps = (None, *CLUSTERING_STEPS[_kind(data)])
    for gate in asked or ():
        if GATES[gate].begins_with not in steps:
            raise RunError(
                f"gate {gate!r} begins with the clustering {GATES[gate].begins_with!r}, and "
                f"{data!r} has only {', '.join(map(repr, steps[1:]))}: choose another gate"
            )
    return list(asked or (gate for gate in GATES if GATES[gate].begins_with in steps))


def _regression_cell(data: str, gate: str, objective: str, n_outputs: int, draw: int) -> _Cell:
    name = f"{data}-{gate}-{n_outputs}-{draw}"
    params = {
        **TABLE_1_PARAMS.get(data, {}).get(gate, {}),
        "gate": gate,
        "n_outputs": n_outputs,
        "targets_seed": draw,
    }
    if objective != OWN_OBJECTIVE:
        name += f"-{objective}"
        params["task_objective"] = objective
    return _Cell(name, data, draw, params)


def table2(
    study: Study,
    gate_runs: Path,
    gates: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    missing: bool = False,
) -> list[Record]:
    """Trains the classifications of MNIST, the paper's Table 2.

    Args:
      study, gate_runs, gates, missing: see `table1`.
      seeds: the runs' seeds.

    Returns and Raises are those of `table1`.
    """
    cells = [
        _Cell(
            f"mnist-{gate}-{seed}",
            "mnist",
            seed,
            {**TABLE_2_TASK, **TABLE_2_PARAMS.get(gate, {}), "gate": gate},
        )
        for gate in _gates("mnist", gates)
        for seed in seeds
    ]
    return _fill_cells(study, cells, gate_runs, missing)


def _fill_cells(
    study: Study, cells: Sequence[_Cell], gate_runs: Path, missing: bool
) -> list[Record]:
    """Fills a table's cells in their order, and writes the table after each.

    Cells that the table's file has besides are kept.
    """
    from moe_vae.schemas import CellResults

    records: list[Record] = []
    kept = study.recorded("cells", CellResults)
    for number, cell in enumerate(cells, start=1):
        recorded = [each for each in kept if _is_of(each, cell)] if missing else []
        if recorded:
            records += recorded
            continue
        say(f"Cell {number} of {len(cells)}: {cell.name}.")
        records.append(_filled(study, cell, gate_runs))
        merged = {_cell_key(each): each for each in (*kept, *records)}
        study.write(cells=list(merged.values()))
    return records


def _is_of(record: Record, cell: _Cell) -> bool:
    """Whether a recorded cell has the data, the seeds and the settings of a cell."""
    place = (SOURCES[cell.data].title, cell.seed, _gate_seed(cell))
    theirs = (record["data"], record["seed"], record.get("gate_seed"))
    # The gate's own objective is its default.
    own = default_params("moe", SOURCES[cell.data].form, cell.params)["task_objective"]
    asked = {"task_objective": own, **cell.params}
    return place == theirs and asked.items() <= record["params"].items()


def _filled(study: Study, cell: _Cell, gate_runs: Path) -> Record:
    """Trains a cell's run if it is not finished; returns what the table keeps of it."""
    start, run_dir = _finish_gate(study, cell, gate_runs), study.runs / cell.name
    record = finish_run(study, "moe", cell.data, run_dir, cell.seed, cell.params, start)
    kept = {name: record[name] for name in CELL_RECORD}
    return kept if start is None else {**kept, "gate_seed": _gate_seed(cell)}


def _cell_key(record: Record) -> tuple[Any, ...]:
    """Returns what tells a cell's record from all others of its table."""
    names = ("gate", "n_outputs", "targets_seed", "task_objective")
    return (record["data"], record["seed"], *(record["params"][name] for name in names))


def _finish_gate(study: Study, cell: _Cell, gate_runs: Path) -> Path | None:
    """Trains the clustering that a cell's gate begins with; returns its directory, if any."""
    step, kind = GATES[cell.params["gate"]].begins_with, _kind(cell.data)
    seed = _gate_seed(cell)
    if step is None or seed is None:
        return None
    clusterings = dataclasses.replace(study, runs=gate_runs)
    return finish_step(clusterings, CLUSTERING_STEPS[kind], step, cell.data, seed)


def _gate_seed(cell: _Cell) -> int | None:
    """Returns the seed of the clustering that a cell's gate begins with; None if with none."""
    if GATES[cell.params["gate"]].begins_with is None:
        return None
    return FIRST_GATE_SEEDS[_kind(cell.data)] + cell.seed


# Single runs, by a recipe.


def by_recipe(
    study: Study,
    name: str,
    steps: Iterable[str] | None = None,
    data: Iterable[str] | None = None,
    n_seeds: int | None = None,
) -> list[Record]:
    """Trains and evaluates the runs of a recipe.

    Runs that the results' file has besides are kept, in the recipe's order.

    Args:
      study: the `Study`.
      name: a key of `RECIPES`.
      steps: keys of the recipe's steps; None means all.
      data: keys of `SOURCES`; None means all that the experiments have.
      n_seeds: how many seeds each has at most; None means as many as the recipe says.

    Returns:
      The trained runs' records, each with its `step`, its `evaluation` if the recipe evaluates its
      runs, and what its experiment measures as `measured`.

    Raises:
      RunError: a run was interrupted, its directory or the results' file holds another one, or
        the study has no run of these steps on these data.
      And what `train_run` and `evaluate_run` raise.
    """
    from moe_vae.schemas import StepResults

    recipe, records = RECIPES[name], []
    kept = study.recorded("runs", StepResults)
    _check_steps(study.out, recipe, kept)
    for experiment in _chosen(recipe, steps, data):
        for seed in range(min(experiment.n_seeds, n_seeds or experiment.n_seeds)):
            run_dir = finish_step(study, recipe.steps, experiment.step, experiment.data, seed)
            record = (
                evaluated(study, run_dir, experiment.data)
                if recipe.evaluates
                else read_record(run_dir)
            )
            record |= measured(study, run_dir, experiment)
            records.append({"step": experiment.step, **record})
            merged = {_run_key(each): each for each in (*kept, *records)}
            study.write(runs=_in_order(recipe, merged.values()))
        # A step's figures are those of its first data.
        first = next(each for each in recipe.experiments if each.step == experiment.step)
        drawn = experiment == first and experiment.data in ("mnist", "fashion-mnist", "spiral")
        if recipe.draw is None and drawn:
            copy_figures(run_dir, study.figures, f"{name}_{experiment.step}")
    if recipe.draw is not None:
        save_figures(recipe.draw(study.recorded("runs", StepResults)), study.figures, f"{name}_")
    return records


def _chosen(
    recipe: Recipe, steps: Iterable[str] | None, data: Iterable[str] | None
) -> list[Experiment]:
    steps, data = list(steps or ()), list(data or ())
    of_steps = [each for each in recipe.experiments if not steps or each.step in steps]
    chosen = [each for each in of_steps if not data or each.data in data]
    if not chosen:
        theirs = dict.fromkeys(each.data for each in of_steps)
        raise RunError(
            f"no run of {', '.join(steps) or 'this study'} is on {', '.join(data)}: choose "
            f"{' or '.join(theirs)}"
        )
    return chosen


def _check_steps(out: Path, recipe: Recipe, records: Iterable[Record]) -> None:
    """Raises RunError if a results' file has runs that the recipe does not have."""
    places = _places(recipe)
    for record in records:
        if _run_key(record)[:2] not in places:
            raise RunError(
                f"{out} holds a run of {record['step']!r} on {record['data']}, which the study "
                "does not have: name another file with --out, or delete it"
            )


def _run_key(record: Record) -> tuple[Any, ...]:
    """Returns what tells a run's record from all others of its recipe."""
    return (record["step"], record["data"], record["seed"])


def _places(recipe: Recipe) -> list[tuple[str, str]]:
    """Returns the steps and the titles of the data that a recipe has, in its order."""
    return [(each.step, SOURCES[each.data].title) for each in recipe.experiments]


def _in_order(recipe: Recipe, records: Iterable[Record]) -> list[Record]:
    """Returns the records in the order of the recipe's experiments."""
    places = _places(recipe)
    return sorted(records, key=lambda each: (places.index(_run_key(each)[:2]), each["seed"]))
