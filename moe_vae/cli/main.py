"""The command line: with the notebooks, the only place that knows of paths and flags."""

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from moe_vae.bench.clustering_vaes import time_clustering_vaes
from moe_vae.bench.engines import BenchError, add_bench_command
from moe_vae.bench.workers import add_scaling_command
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS, IMAGE_SIDE, POINT_FEATURES, DataError
from moe_vae.data.digits import read_small_digits
from moe_vae.data.mnist import SOURCES, read_data_sets
from moe_vae.data.spiral import make_spiral
from moe_vae.distributed.processes import (
    add_cluster_command,
    add_task_options,
    chief_of,
    cluster_record,
    join_cluster,
    run_cluster,
    take_part,
)
from moe_vae.distributed.servers import ClusterError
from moe_vae.evaluation.clustering import score_baselines, score_code_baselines
from moe_vae.evaluation.conditional_vae import score_generation
from moe_vae.evaluation.metrics import match_clusters
from moe_vae.evaluation.recogniser import train_recogniser
from moe_vae.evaluation.specialists import score_specialists
from moe_vae.experiments.recipes import (
    CLUSTERING_STEPS,
    SPECIALIST_EXPERIMENTS,
    SPECIALIST_STEPS,
    TABLE_1_PARAMS,
    TABLE_2_PARAMS,
)
from moe_vae.experiments.registry import (
    CLUSTERING_MODELS,
    ENGINES,
    MODELS,
    POST_MODELS,
    builder,
    default_params,
    inherited_params,
)
from moe_vae.experiments.runs import run_identity, run_record
from moe_vae.experiments.sources import N_FEATURES, prepare_data
from moe_vae.experiments.tables import RESULTS, fill_tables
from moe_vae.files import write_whole
from moe_vae.models.gates import CLUSTERING_GATES, SYSTEMS
from moe_vae.models.specialists import ROUTINGS, SpecialistManager
from moe_vae.params import TASK_OBJECTIVES, ParameterError, check_params
from moe_vae.plots.charts import plot_image_rows, plot_points
from moe_vae.plots.posts import concept_figures
from moe_vae.training.checkpoints import CheckpointError, Checkpoints, locked
from moe_vae.training.tensorboard import TensorBoardLog
from moe_vae.training.trainer import TrainingError, start_trainer

__all__ = ["main"]

CHECKPOINT = "model.ckpt"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
CLUSTERING_SEEDS = {"points": [10, 11, 12, 13, 14], "images": [0, 1, 2]}
# What a table remembers of the run that filled a cell.
_CELL_RECORD = ("command", "data", "seed", "params", "seconds", "test", "versions")
OWN_OBJECTIVE = "own"  # the one that a gate has by itself
# For models that read points as well as images.
MORE_SOURCES = {
    "spiral": "the paper's five arms",
    "digits": "scikit-learn's 1,797 of 8 x 8 pixels",
}
SPIRAL_SEED = 0  # of the points; a run's own seed is that of its weights and batches


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}\n")


class CommandError(ValueError):
    """A command was given a path or a choice that it cannot work with."""


def main(argv=None):
    """Runs one command; a bad input ends in one line on standard error and exit code 2.

    Args:
      argv: the words after `python -m moe_vae`; None means those of the process.

    Returns:
      The exit code, 0; errors leave by SystemExit.
    """
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    arguments = parser.parse_args(words)
    arguments.command_line = "python -m moe_vae " + shlex.join(words)
    try:
        arguments.run(arguments)
    except CellExecutionError as error:
        parser.exit(2, f"{parser.prog}: error: a cell failed: {error.ename}: {error.evalue}\n")
    except (
        BenchError,
        CheckpointError,
        ClusterError,
        CommandError,
        DataError,
        ParameterError,
        TrainingError,
        OSError,
    ) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    return 0


# One function a command.


def _figures(arguments):
    for name in POST_MODELS:
        check_params(_epochs(arguments), default_params(name, arguments.data))
    data_sets = _read_data(arguments)
    _save_figures(concept_figures(), arguments.out, "post3")
    for post, name in (("post2", "conditional-vae"), ("post3", "mixture-of-vaes")):
        run_dir = arguments.out / f"{post}_{name}"
        with locked(run_dir):
            trainer, record = _train(name, _epochs(arguments), arguments, data_sets, run_dir)
            figures = MODELS[name].draw(trainer, record, data_sets.test)
            _save_figures(figures, arguments.out, run_dir.name)
            _write_json(run_dir.with_suffix(".json"), record)
            if not trainer.interrupted:
                shutil.rmtree(run_dir)  # there is nothing left to go on with
    print(f"Figures and numbers are in {arguments.out}/.")


def _train_command(arguments):
    params = _check_training(arguments)
    _check_engine(arguments, params)
    member = join_cluster(arguments)
    if member is not None and not member.is_chief:
        take_part(member, arguments, params, lambda: _prepared_data(arguments, params))
        return
    with locked(arguments.out), chief_of(member) as start:
        data_sets = _prepared_data(arguments, params)
        trainer, record = _train(
            arguments.model, params, arguments, data_sets, arguments.out, start
        )
        record |= cluster_record(member, trainer)
        _save_run(arguments.out, trainer, record, data_sets)
    if member is None:
        trainer.session.close()  # a table trains a hundred in one process
    print(json.dumps(record["test"], indent=1))
    print(f"Checkpoint, {METRICS} and figures are in {arguments.out}/.")


def _cluster(arguments):
    _check_training(arguments)
    run_cluster(arguments)


def _check_training(arguments):
    # Before the data are read or fetched, which may take a while.
    given = {**dict(arguments.set), **_epochs(arguments)}
    if arguments.routing is not None:
        given["routing"] = arguments.routing
    defaults = default_params(arguments.model, arguments.data, given)
    params = check_params({**_inherited(arguments, defaults), **given}, defaults)
    if arguments.out.exists() and not arguments.out.is_dir():
        raise CommandError(f"--out is {arguments.out}: it must be a directory, or not exist")
    return params


def _check_engine(arguments, params):
    # What is impossible is said before the data are read, and their neighbours looked for.
    builder(arguments.model, N_FEATURES.get(arguments.data, IMAGE_PIXELS), arguments.engine)
    if arguments.engine == "plain":
        return
    # Experts and their manager have variables of other names in this engine's graph.
    start = arguments.start if params.get("routing") in ("post", "balanced") else None
    for option, value in (("--cluster", arguments.cluster), ("--from", start)):
        if value is not None:
            raise CommandError(f"--engine is {arguments.engine}: with {option} it must be plain")


def _generate(arguments):
    trainer, record = _load_run(arguments.run_dir)
    model = trainer.model
    if not hasattr(model, "generate"):
        raise CommandError(
            f"{arguments.run_dir} holds a model of kind {record['model']!r}, which draws nothing"
        )
    chosen = range(model.n_columns) if arguments.which is None else [arguments.which]
    if chosen[0] not in range(model.n_columns):
        raise CommandError(f"--which is {chosen[0]}: it must be in 0 to {model.n_columns - 1}")
    z = np.random.default_rng(arguments.seed).standard_normal(
        [arguments.count, model.params["z_dim"]]
    )
    rows = [model.generate(trainer.session, z, number) for number in chosen]
    labels = [f"{MODELS[record['model']].column} {number}" for number in chosen]
    title = f"Generated by {record['model']} ({record['data']})"
    if record["n_features"] != POINT_FEATURES:
        drawn, figure = "pictures", plot_image_rows(rows, labels, title)
    else:
        points = np.concatenate(rows), np.repeat(chosen, arguments.count)
        panel = {f"{arguments.count} points of each cluster": points}
        drawn, figure = "points", plot_points(panel, title)
    _save_figure(figure, arguments.out)
    print(f"{len(chosen)} x {arguments.count} {drawn} are in {arguments.out}.")


def _classify(arguments):
    trainer, record = _load_run(arguments.run_dir)
    if record["n_features"] != IMAGE_PIXELS:
        raise CommandError(f"{arguments.run_dir} was trained on the {record['data']}: no pictures")
    if not hasattr(trainer.model, "predict_proba"):
        raise CommandError(
            f"{arguments.run_dir} holds a model of kind {record['model']!r}, which tells no "
            "pictures apart"
        )
    image = _read_picture(arguments.image)
    probabilities = trainer.model.predict_proba(trainer.session, image)[0]
    likeliest = int(probabilities.argmax())
    if record["model"] == "conditional-vae":
        print(f"digit {likeliest} (probability {probabilities[likeliest]:.3f})")
    else:
        matched = match_clusters(np.array(record["test"]["confusion"]))
        print(
            f"{MODELS[record['model']].column} {likeliest} "
            f"(probability {probabilities[likeliest]:.3f}), "
            f"which draws mostly digit {matched.get(likeliest, 'of no one kind')}"
        )


def _evaluate(arguments):
    trainer, record = _load_run(arguments.run_dir)
    data_sets = _prepared_data(arguments, trainer.model.params)
    evaluation = {
        "command": arguments.command_line,
        "data": data_sets.name,
        "test": MODELS[record["model"]].score(trainer, data_sets.test),
    }
    draws_images = record["n_features"] == IMAGE_PIXELS
    specialises = isinstance(trainer.model, SpecialistManager) and draws_images
    if specialises or record["model"] == "conditional-vae":
        recogniser, accuracy = train_recogniser(data_sets)
        evaluation["recogniser_accuracy"] = accuracy
        evaluation["generation"] = (
            score_specialists(trainer, recogniser, evaluation["test"]["confusion"])
            if specialises
            else score_generation(trainer, recogniser)
        )
    if record["model"] in CLUSTERING_MODELS:
        evaluation["validation"] = trainer.evaluate(data_sets.validation)
        evaluation["codes"] = score_code_baselines(trainer, data_sets, record["seed"])
    _write_json(arguments.run_dir / EVALUATION, evaluation)
    print(json.dumps(evaluation, indent=1))


def _posts(arguments):
    runs = []
    for name in POST_MODELS:
        for seed in arguments.seeds:
            run_dir = arguments.runs / f"{name}-{seed}"
            runs.append(_finished_run(name, seed, run_dir, arguments))
            _write_json(arguments.out, {"command": arguments.command_line, "runs": runs})
    figures = arguments.out.parent / "figures"
    _save_figures(concept_figures(), figures, "post3")
    for name in POST_MODELS:
        _copy_figures(arguments.runs / f"{name}-{arguments.seeds[-1]}", figures, name)
    print(f"{len(runs)} runs are in {arguments.out}, the last seed's figures in {figures}/.")


def _clustering(arguments):
    arguments.seeds = arguments.seeds or CLUSTERING_SEEDS[_kind(arguments.data)]
    out = Path(str(arguments.out).replace("{data}", arguments.data))
    data_sets = _read_data(arguments)
    results = {
        "command": arguments.command_line,
        "baselines": [
            {"seed": seed, **score_baselines(data_sets.train.images, data_sets.test, seed)}
            for seed in arguments.seeds
        ],
        "runs": [],
    }
    for name in _clustering_steps(arguments.data):
        for seed in arguments.seeds:
            run_dir = _clustered(name, seed, arguments)
            record = {
                **_read_json(run_dir / METRICS),
                "evaluation": _evaluation(run_dir, arguments),
            }
            results["runs"].append(record)
            _write_json(out, results)
        figures = out.parent / "figures"
        _copy_figures(run_dir, figures, f"{name}_{arguments.data}")
    n_runs = len(results["runs"])
    print(f"{n_runs} runs are in {out}, the last seed's figures in {figures}/.")


def _table1(arguments):
    cells = [
        (data, gate, objective, n_outputs, draw)
        for data in arguments.data
        for gate in arguments.gates
        for objective in arguments.objectives
        for n_outputs in arguments.outputs
        for draw in range(arguments.draws)
    ]
    _fill_cells(cells, _regression_cell, arguments)


def _regression_cell(cell, arguments):
    data, gate, objective, n_outputs, draw = cell
    sets = {
        **TABLE_1_PARAMS[data][gate],
        "gate": gate,
        "n_outputs": n_outputs,
        "targets_seed": draw,
    }
    name = f"{data}-{gate}-{n_outputs}-{draw}"
    if objective != OWN_OBJECTIVE:
        sets["task_objective"] = objective
        name += f"-{objective}"
    run_dir = arguments.runs / name
    return _trained_cell(run_dir, data, draw, sets, arguments)


def _table2(arguments):
    cells = [(seed, gate) for gate in arguments.gates for seed in arguments.seeds]
    _fill_cells(cells, _classification_cell, arguments)


def _classification_cell(cell, arguments):
    seed, gate = cell
    run_dir = arguments.runs / f"mnist-{gate}-{seed}"
    return _trained_cell(run_dir, "mnist", seed, {**TABLE_2_PARAMS[gate], "gate": gate}, arguments)


def _fill_cells(cells, train, arguments):
    """Trains every cell of a table that is not there yet, and writes all as each is done."""
    records = []
    for cell in tqdm(cells, unit="cell", desc="table", file=sys.stdout):
        print()  # the cell's own progress stands below the table's
        record = train(cell, arguments)
        records.append({name: record[name] for name in _CELL_RECORD})
        _write_json(arguments.out, {"command": arguments.command_line, "cells": records})
    print(f"{len(records)} cells are in {arguments.out}.")


def _trained_cell(run_dir, data, seed, sets, arguments):
    options = []
    if sets["gate"] in CLUSTERING_GATES:
        seeds = CLUSTERING_SEEDS[_kind(data)]
        source = argparse.Namespace(
            **{**vars(arguments), "data": data, "runs": arguments.gate_runs}
        )
        options += ["--from", str(_clustered(sets["gate"], seeds[seed % len(seeds)], source))]
    _finish_run("moe", seed, run_dir, data, arguments.data_dir, options, sets)
    return _read_json(run_dir / METRICS)


def _specialists(arguments):
    runs = []
    for experiment in SPECIALIST_EXPERIMENTS:
        if arguments.steps and experiment.step not in arguments.steps:
            continue
        if arguments.on and experiment.data not in arguments.on:
            continue
        arguments.data = experiment.data
        for seed in range(min(experiment.n_seeds, arguments.n_seeds or experiment.n_seeds)):
            run_dir = _stepped(SPECIALIST_STEPS, experiment.step, seed, arguments)
            evaluation = _evaluation(run_dir, arguments)
            record = {**_read_json(run_dir / METRICS), "evaluation": evaluation}
            runs.append({"step": experiment.step, **record})
            _write_json(arguments.out, {"command": arguments.command_line, "runs": runs})
        if experiment.data in ("mnist", "spiral"):
            figures = arguments.out.parent / "figures"
            _copy_figures(run_dir, figures, f"specialists_{experiment.step}")
    print(f"{len(runs)} runs are in {arguments.out}.")


def _times(arguments):
    times = time_clustering_vaes(_read_data(arguments))
    _write_json(arguments.out, {"command": arguments.command_line, **times})
    print(f"The times are in {arguments.out}.")


def _tables(arguments):
    text = arguments.readme.read_text()
    results = {name: _read_json(arguments.results / f"{name}.json") for name in RESULTS}
    write_whole(arguments.readme, fill_tables(text, results).encode())
    print(f"The tables in {arguments.readme} are those of {arguments.results}/.")


def _notebooks(arguments):
    for path in arguments.notebooks:
        notebook = nbformat.read(path, as_version=4)
        print(f"Executing {path}.")
        NotebookClient(
            notebook,
            timeout=None,
            coalesce_streams=True,  # a progress bar is kept as it ended
            record_timing=False,
            # The kernel's note that it is reached without encryption: it is, from here alone.
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": path.parent}},
        ).execute()
        write_whole(path, (nbformat.writes(notebook) + "\n").encode())


# What the commands share.


def _finished_run(name, seed, run_dir, arguments):
    """Trains and evaluates a model in `run_dir`, or what is left of that; returns its record."""
    _finish_run(name, seed, run_dir, arguments.data, arguments.data_dir)
    return {**_read_json(run_dir / METRICS), "evaluation": _evaluation(run_dir, arguments)}


def _finish_run(name, seed, run_dir, data, data_dir, options=(), sets=()):
    """Trains a model in `run_dir`, or what is left of that, and keeps no checkpoints of it."""
    metrics, sets = run_dir / METRICS, dict(sets)
    if not metrics.exists() or _read_json(metrics)["interrupted"]:
        words = ["train", name, *_source(data, data_dir), "--seed", str(seed), *options]
        for key, value in sets.items():
            words += ["--set", f"{key}={json.dumps(value)}"]
        main([*words, "--out", str(run_dir), *(["--resume"] if run_dir.exists() else [])])
        if _read_json(metrics)["interrupted"]:
            raise CommandError(f"{run_dir} was interrupted: the same command goes on with it")
    if (run_dir / CHECKPOINTS).exists():
        shutil.rmtree(run_dir / CHECKPOINTS)  # there is nothing left to go on with
    params = _read_json(metrics).get("params", {})
    for key, value in sets.items():
        if params[key] != value:
            raise CommandError(
                f"{run_dir} holds a run with {key} {params[key]!r}, not {value!r}: "
                "delete it, or name another directory"
            )


def _evaluation(run_dir, arguments):
    """Returns what `evaluate` says of a run, from its file where that has been asked before."""
    evaluation = run_dir / EVALUATION
    if not evaluation.exists():
        main(["evaluate", *_source(arguments.data, arguments.data_dir), "--run", str(run_dir)])
    return _read_json(evaluation)


def _source(data, data_dir):
    return ["--data", data, *(["--data-dir", str(data_dir)] if data_dir else [])]


def _kind(data):
    return "points" if data == "spiral" else "images"


def _clustering_steps(data):
    return CLUSTERING_STEPS[_kind(data)]


def _clustered(name, seed, arguments):
    return _stepped(_clustering_steps(arguments.data), name, seed, arguments)


def _stepped(steps, name, seed, arguments):
    """Returns the directory of a step's run, trained now where it is not there yet."""
    run_dir = arguments.runs / f"{name}-{arguments.data}-{seed}"
    step = steps[name]
    options = []
    if step.before:
        options += ["--from", str(_stepped(steps, step.before, seed, arguments))]
    _finish_run(step.model, seed, run_dir, arguments.data, arguments.data_dir, options, step.params)
    return run_dir


def _copy_figures(run_dir, figures, prefix):
    figures.mkdir(parents=True, exist_ok=True)
    for path in sorted(run_dir.glob("*.png")):
        shutil.copy(path, figures / f"{prefix}_{path.name}")


def _read_data(arguments):
    if arguments.data == "spiral":
        return make_spiral(SPIRAL_SEED)
    if arguments.data == "digits":
        return read_small_digits()
    return read_data_sets(arguments.data_dir, arguments.data)


def _prepared_data(arguments, params):
    return prepare_data(_read_data(arguments), params, arguments.cache)


def _epochs(arguments):
    return {} if arguments.epochs is None else {"epochs": arguments.epochs}


def _train(name, params, arguments, data_sets, directory, start=None):
    build = builder(name, data_sets.train.images.shape[1], arguments.engine)
    trainer = (start or start_trainer)(build, params, arguments.seed)
    if arguments.start:
        trainer.begin_with(arguments.start / CHECKPOINT)
    checkpoints = Checkpoints(
        directory / CHECKPOINTS,
        run_identity(name, trainer, data_sets, arguments.seed),
        arguments.checkpoint_every,
        arguments.keep,
    )
    print(f"Training {name} on {data_sets.name}.")
    if arguments.resume:
        for damage in checkpoints.restore(trainer, data_sets.train):
            print(f"{damage}.")
        if trainer.n_epochs:
            print(f"Going on after epoch {trainer.n_epochs}.")
    elif checkpoints.paths():
        raise CommandError(f"{directory} holds a run: --resume goes on with it")
    trainer.listeners.append(checkpoints)
    if arguments.tensorboard:
        trainer.listeners.append(TensorBoardLog(directory / TENSORBOARD, trainer))
    trainer.fit_to_the_end(data_sets.train)
    if trainer.interrupted:
        print(f"Interrupted after {trainer.n_epochs} epochs; going on with what was learned.")
    if not trainer.n_epochs:
        raise CommandError("interrupted before the first epoch ended: nothing to write")
    record = run_record(name, trainer, data_sets, arguments.seed)
    return trainer, {"command": arguments.command_line, **record}


def _save_run(directory, trainer, record, data_sets):
    directory.mkdir(parents=True, exist_ok=True)
    trainer.save(directory / CHECKPOINT)
    _save_figures(MODELS[record["model"]].draw(trainer, record, data_sets.test), directory)
    _write_json(directory / METRICS, record)


def _inherited(arguments, defaults):
    if arguments.start is None:
        return {}
    return inherited_params(_read_run(arguments.start, "--from"), defaults)


def _read_run(directory, option):
    path = directory / METRICS
    if not path.exists():
        raise CommandError(f"{path} does not exist: {option} must name what `train --out` wrote")
    record = _read_json(path)
    needed = {"model", "params", "seed", "n_features"}
    if not isinstance(record, dict) or not needed <= record.keys():
        raise CommandError(f"{path} is not what `train` wrote")
    return record


def _load_run(directory):
    record = _read_run(directory, "--run")
    build = builder(record["model"], record["n_features"])
    trainer = start_trainer(build, record["params"], record["seed"])
    try:
        trainer.restore(directory / CHECKPOINT)
    except (tf.errors.OpError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CommandError(f"{directory / CHECKPOINT} cannot be restored ({reason})") from error
    return trainer, record


def _read_picture(path):
    """Reads a picture as one image: grey, 28 x 28, ink light on a dark ground as in MNIST."""
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"), np.float32) / 255
    except UnidentifiedImageError as error:
        raise CommandError(f"{path} is not a picture") from error
    except OSError as error:
        if error.filename:
            raise
        raise CommandError(f"{path} is damaged ({error})") from error
    if pixels.shape != (IMAGE_SIDE, IMAGE_SIDE):
        height, width = pixels.shape
        raise CommandError(
            f"{path} is {width} x {height} pixels: it must be {IMAGE_SIDE} x {IMAGE_SIDE}"
        )
    return pixels.reshape(1, -1)


def _save_figures(figures, directory, prefix=""):
    for name, figure in figures.items():
        _save_figure(figure, directory / f"{prefix}{'_' if prefix else ''}{name}.png")


def _save_figure(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _read_json(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise CommandError(f"{path} is not JSON ({error})") from error


def _write_json(path, content):
    write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


# What can be said on the command line.


def _parser():
    parser = _Parser(
        prog="python -m moe_vae",
        description="Variational autoencoders and mixtures of experts, after two posts of the "
        '"Another Datum" series.',
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = _add(commands, "figures", _figures, "draw every figure of both posts")
    _add_data(command)
    _add_training(command)
    command.set_defaults(resume=True, checkpoint_every=5, keep=1, tensorboard=False)
    command.set_defaults(start=None, engine="plain")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("figures"),
        metavar="DIR",
        help="default: figures; where this command was cut off there, it goes on",
    )

    command = _add(commands, "train", _train_command, "train one model, save it and its scores")
    command.add_argument("model", choices=MODELS, help="which model")
    _add_data(command, MORE_SOURCES)
    _add_training(command)
    command.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter of the model, as in --set z_dim=5 or --set 'encoder_layers=[64]'",
    )
    command.add_argument(
        "--routing",
        choices=ROUTINGS,
        help="of a mixture of VAEs: the post's, the post's balanced by entropy, or by information, "
        "which makes an expert a digit; default: post",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    command.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="DIR",
        help="begin with what another trained model, in DIR, shares with this one: its variables "
        "of the same name, and its parameters of the networks",
    )
    _add_cache(command)
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in DIR, or begin where there is none",
    )
    command.add_argument(
        "--checkpoint-every",
        type=_positive,
        default=1,
        metavar="N",
        help="write a checkpoint every N epochs; default: 1",
    )
    command.add_argument(
        "--keep", type=_positive, default=3, metavar="K", help="keep the last K; default: 3"
    )
    command.add_argument(
        "--tensorboard",
        action="store_true",
        help=f"log curves, gradient norms, pictures and the graph to DIR/{TENSORBOARD}",
    )

    add_cluster_command(commands, command).set_defaults(run=_cluster)
    add_task_options(command)
    command.add_argument(
        "--engine",
        choices=ENGINES,
        default="plain",
        help="how the model is computed: plain (default), as in the posts; fused, for speed: any "
        "model but information, of mixture-of-vaes and hierarchy only MNIST and the sample, not "
        "with --cluster, and a mixture-of-vaes not with --from, except for a router",
    )

    command = _add(commands, "generate", _generate, "draw pictures with a trained model")
    _add_run(command)
    command.add_argument(
        "--which", type=int, metavar="N", help="which digit or expert draws; default: each"
    )
    command.add_argument(
        "--count", type=_positive, default=10, metavar="N", help="pictures of each; default: 10"
    )
    command.add_argument("--seed", type=_seed, default=42, help="seed of the codes; default: 42")
    command.add_argument(
        "--out",
        type=_png,
        default=Path("generated.png"),
        metavar="PNG",
        help="default: generated.png",
    )

    command = _add(
        commands, "classify", _classify, "say which digit or expert a picture belongs to"
    )
    command.add_argument(
        "image", type=Path, help="a picture of 28 x 28 pixels, light ink on a dark ground"
    )
    _add_run(command)

    command = _add(commands, "evaluate", _evaluate, "score a trained model on the test images")
    _add_run(command)
    _add_data(command, MORE_SOURCES)
    _add_cache(command)

    command = _add(commands, "posts", _posts, "train both posts' models from several seeds")
    _add_data(command)
    _add_runs(command, "posts", [42, 1, 2])

    command = _add(
        commands,
        "clustering",
        _clustering,
        "train VaDE and DMVAE from several seeds, and baselines",
    )
    _add_data(command, ["spiral"])
    _add_runs(command, "clustering", None, out="clustering_{data}")

    command = _add(
        commands, "table1", _table1, "fill the paper's Table 1: regression by every gate"
    )
    command.add_argument(
        "--data",
        choices=("spiral", "mnist"),
        nargs="+",
        default=["spiral", "mnist"],
        help="default: both",
    )
    command.add_argument(
        "--outputs",
        type=_positive,
        nargs="+",
        default=[1, 2, 5],
        metavar="D",
        help="dimensions of the targets; default: 1 2 5",
    )
    command.add_argument(
        "--objectives",
        choices=(OWN_OBJECTIVE, *TASK_OBJECTIVES),
        nargs="+",
        default=[OWN_OBJECTIVE],
        help="what is minimised; default: each gate's own, the likelihood",
    )
    command.add_argument(
        "--draws",
        type=_positive,
        default=5,
        metavar="N",
        help="so many draws of the targets for each cell; default: 5",
    )
    _add_table(command, "table1")

    command = _add(
        commands, "table2", _table2, "classify MNIST by mixtures of experts with every gate"
    )
    command.add_argument(
        "--seeds", type=_seed, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2"
    )
    _add_table(command, "table2")

    command = _add(
        commands,
        "specialists",
        _specialists,
        "train experts that are digits, flat and in a hierarchy, and what they are without",
    )
    command.add_argument(
        "--steps", choices=SPECIALIST_STEPS, nargs="+", help="which experiments; default: all"
    )
    command.add_argument(
        "--data",
        dest="on",
        choices=list(dict.fromkeys(experiment.data for experiment in SPECIALIST_EXPERIMENTS)),
        nargs="+",
        help="on which data; default: all",
    )
    command.add_argument(
        "--n-seeds",
        type=_positive,
        metavar="N",
        help="at most so many seeds of each; default: as many as in the README",
    )
    command.add_argument(
        "--data-dir", metavar="DIR", help="where MNIST's four files are; as for `train`"
    )
    _add_outputs(command, "specialists", "specialists")

    command = _add(commands, "times", _times, "time VaDE and DMVAE with networks of one size")
    _add_data(command)
    command.add_argument(
        "--out",
        type=Path,
        default=Path("results", "times.json"),
        metavar="FILE",
        help="default: results/times.json",
    )

    add_scaling_command(commands, _positive)
    add_bench_command(commands, _positive)

    command = _add(commands, "notebooks", _notebooks, "execute notebooks in place")
    command.add_argument(
        "notebooks", type=Path, nargs="+", metavar="NOTEBOOK", help="files that end in .ipynb"
    )

    command = _add(commands, "tables", _tables, "write the README's tables from the results")
    command.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"
    )
    command.add_argument(
        "--readme", type=Path, default=Path("README.md"), metavar="FILE", help="default: README.md"
    )
    return parser


def _add(commands, name, run, help_text):
    command = commands.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
    command.set_defaults(run=run)
    return command


def _add_data(command, more=()):
    command.add_argument(
        "--data",
        choices=(*SOURCES, *more),
        default="auto",
        help="mnist: from --data-dir, or downloaded; sample: 5,000 digits that are bundled; "
        "auto (default): mnist if it can be had, else the sample"
        + "".join(f"; {name}: {MORE_SOURCES[name]}" for name in more),
    )
    command.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where MNIST's four files are or go; default: $MOE_VAE_DATA, or else MNIST_data",
    )


def _add_cache(command):
    command.add_argument(
        "--cache",
        type=Path,
        default=Path("runs", "cache"),
        metavar="DIR",
        help="keeps the nearest neighbours that some models need; default: runs/cache",
    )


def _add_training(command):
    command.add_argument("--epochs", type=int, metavar="N", help="default: as in the post")
    command.add_argument("--seed", type=_seed, default=42, help="default: 42, as in the posts")


def _add_runs(command, name, seeds, out=None):
    command.add_argument(
        "--seeds",
        type=_seed,
        nargs="+",
        default=seeds,
        metavar="SEED",
        help=f"default: {' '.join(map(str, seeds)) if seeds else 'those of the README'}",
    )
    _add_outputs(command, name, out or name)


def _add_outputs(command, name, out):
    command.add_argument(
        "--runs",
        type=Path,
        default=Path("runs", name),
        metavar="DIR",
        help="where the runs go; one that is there already is not trained again; "
        f"default: runs/{name}",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("results", f"{out}.json"),
        metavar="FILE",
        help=f"default: results/{out}.json",
    )


def _add_table(command, name):
    command.add_argument(
        "--data-dir", metavar="DIR", help="where MNIST's four files are; as for `train`"
    )
    command.add_argument(
        "--gates", choices=SYSTEMS, nargs="+", default=list(SYSTEMS), help="default: all five"
    )
    command.add_argument(
        "--gate-runs",
        type=Path,
        default=Path("runs", "clustering"),
        metavar="DIR",
        help="where `clustering` left, or leaves, the VAEs that gates begin with; "
        "default: runs/clustering",
    )
    _add_outputs(command, name, name)


def _add_run(command):
    command.add_argument(
        "--run",
        dest="run_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the directory that `train --out` wrote",
    )


def _assignment(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a bare word, such as relu; the model's own check judges it


def _seed(text):
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return int(text)


def _png(text):
    if not text.endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png")
    return Path(text)


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
