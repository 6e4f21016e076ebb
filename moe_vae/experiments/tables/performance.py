"""Seconds and memory: the engines, their peers, and a cluster of processes."""

from collections.abc import Iterator
from typing import Any

from moe_vae.experiments.engine_choice import BREAK_EVENS, measured_examples
from moe_vae.experiments.registry import MODELS
from moe_vae.experiments.tables.markdown import markdown_table, mebibytes

__all__ = [
    "bench_floor_table",
    "bench_models_table",
    "bench_profile_table",
    "bench_scaling_table",
    "bench_table",
    "bench_training_table",
    "cluster_table",
    "engine_choice_table",
]

Values = dict[str, Any]

FUSED_ENGINES = ("fused", "plain")  # of post 3's mixture
COMPILED_ENGINES = ("compiled", "plain")  # of the other models
N_OPERATIONS = 12  # that the table of a profile shows
PRODUCTS = ("MatMul", "_FusedMatMul", "BatchMatMulV2")


def bench_table(results: Values) -> str:
    """Seconds of an epoch and its parts, by engine and peer, and relative to the fused engine."""
    bench = results["bench"]
    summary, rows = bench["summary"], []
    for name, median in summary["medians"].items():
        parts = ("first", "last", "train", "evaluate", "samples", "whole")
        cells = (f"{median[part]:.3g}" if part in median else "" for part in parts)
        whole = summary["whole_times_fused"].get(name)
        ratios = f"{summary['times_fused'][name]:.2f}", "" if whole is None else f"{whole:.2f}"
        rows.append((name, *cells, *ratios, mebibytes(bench["peak_bytes"][name])))
    cores = f"{bench['cores']} core{'s' if bench['cores'] > 1 else ''}"
    heading = (
        f"{bench['data']}, {cores}",
        "steps, first 3 epochs (s)",
        "steps, last 3 (s)",
        "steps, all (s)",
        "evaluation (s)",
        "samples (s)",
        "whole epoch (s)",
        "steps, relative to fused",
        "whole epoch, relative to fused",
        "peak memory (MiB)",
    )
    return markdown_table(heading, rows)


def bench_floor_table(results: Values) -> str:
    """What a training step takes at least if every expert sees every image, part by part."""
    bench = results["bench"]
    floor, medians = bench["floor"], bench["summary"]["medians"]
    rows = [
        (
            f"matrix products, {pixels} input pixels",
            floor["products"][kind],
            f"{floor['rate'][kind] / 1e9:.0f}",
        )
        for kind, pixels in floor["pixels"].items()
    ]
    rows += [
        ("Adam", floor["adam"], ""),
        ("one sigmoid for each decoded pixel", floor["sigmoid"], ""),
    ]
    rows += [
        (f"floor, {pixels} input pixels", floor["step"][kind], "")
        for kind, pixels in floor["pixels"].items()
    ]
    rows += [
        (f"training step, {engine}, {part} 3 epochs", medians[engine][part] / bench["steps"], "")
        for part in ("first", "last")
        for engine in FUSED_ENGINES
    ]
    heading = ("part of a step", "time (ms)", "GFLOP/s")
    return markdown_table(
        heading, [(what, f"{1e3 * seconds:.2f}", rate) for what, seconds, rate in rows]
    )


def bench_profile_table(results: Values) -> str:
    """Milliseconds of a training step by operation: the longest ones in either engine."""
    kinds = {engine: results["bench"]["profile"][engine]["kinds"] for engine in FUSED_ENGINES}
    nothing = {"seconds": 0, "count": 0}

    def entries(operation: str) -> list[Values]:
        return [of_engine.get(operation, nothing) for of_engine in kinds.values()]

    def longest(operation: str) -> float:
        return max(entry["seconds"] for entry in entries(operation))

    operations = dict.fromkeys(operation for of_engine in kinds.values() for operation in of_engine)
    shown = sorted(operations, key=longest, reverse=True)[:N_OPERATIONS]
    totals = [
        {name: sum(entry[name] for entry in of_engine.values()) for name in ("seconds", "count")}
        for of_engine in kinds.values()
    ]
    rows = [
        *((operation, *_profile_cells(entries(operation))) for operation in shown),
        ("all operations", *_profile_cells(totals)),
    ]
    titles = (title for engine in FUSED_ENGINES for title in (f"{engine} (ms)", "count"))
    return markdown_table(("operation", *titles), rows)


def _profile_cells(entries: list[Values]) -> Iterator[str]:
    for entry in entries:
        yield f"{1e3 * entry['seconds']:.2f}"
        yield str(entry["count"])


def bench_models_table(results: Values) -> str:
    """Seconds of an epoch's steps, compiled and plain, and what the plain ones consist of."""
    rows = []
    for name, model in results["bench"]["models"].items():
        kinds = model["profile"]["kinds"]
        everything = sum(entry["seconds"] for entry in kinds.values())
        products = sum(kinds[kind]["seconds"] for kind in PRODUCTS if kind in kinds)
        adam = sum(entry["seconds"] for kind, entry in kinds.items() if "ApplyAdam" in kind)
        medians = model["medians"]
        rows.append(
            (
                name,
                *(f"{medians[engine]:.2f}" for engine in COMPILED_ENGINES),
                f"{medians['plain'] / medians['compiled']:.2f}",
                f"{model['first_epoch']['compiled']['train']:.2f}",
                _seconds_from_cache(model),
                *(mebibytes(model["peak_bytes"][engine]) for engine in COMPILED_ENGINES),
                *(f"{part / everything:.0%}" for part in (products, adam)),
            )
        )
    heading = (
        "model",
        "compiled (s)",
        "plain (s)",
        "plain, relative to compiled",
        "first epoch, compiled (s)",
        "first epoch, compiled before (s)",
        "peak memory, compiled (MiB)",
        "peak memory, plain (MiB)",
        "matrix products, of a plain step",
        "Adam, of a plain step",
    )
    return markdown_table(heading, rows)


def _seconds_from_cache(model: Values) -> str:
    """Returns the seconds of a second process's first epoch, which older benchmarks lack."""
    epoch = model.get("first_epoch_from_cache")
    return "" if epoch is None else f"{epoch['train']:.2f}"


def bench_scaling_table(results: Values) -> str:
    """Images per second and memory of the fused engine by experts, batch and image size."""
    rows = []
    for point in results["bench_scaling"]["points"]:
        size = f"{point['side']} x {point['side']}"
        rates = (f"{rate:,.0f}" for rate in point["images_a_second"].values())
        memory = mebibytes(point["peak_bytes"])
        rows.append((point["experts"], point["batch"], size, *rates, memory))
    heading = ("experts", "batch", "image", "predicted per second", "scored by all per second")
    return markdown_table((*heading, "generated per second", "peak memory (MiB)"), rows)


def bench_training_table(results: Values) -> str:
    """Milliseconds of a training step and memory, by the number of experts."""
    points: dict[int, list[Values]] = {}
    for point in results["bench_training"]["points"]:
        points.setdefault(point["experts"], []).append(point)
    rows = [
        (
            experts,
            *(f"{1e3 * point['seconds']:.2f}" for point in of_number),
            *(mebibytes(point["peak_bytes"]) for point in of_number),
        )
        for experts, of_number in points.items()
    ]
    columns = [f"{point['engine']}, {point['stage']}" for point in next(iter(points.values()))]
    units = ("step (ms)", "peak memory (MiB)")
    titles = (f"{column}: {unit}" for unit in units for column in columns)
    return markdown_table(("experts", *titles), rows)


def engine_choice_table(results: Values) -> str:
    """From how many examples on each measured engine is faster than the plain one."""
    rows = [
        (
            MODELS[entry.model].label,
            " ".join(f"{name}={value}" for name, value in entry.params.items()),
            entry.engine,
            entry.cores,
            f"{measured_examples(entry, results['bench']):,}",
        )
        for entry in BREAK_EVENS
    ]
    return markdown_table(("model", "with", "engine", "cores", "pays from examples"), rows)


def cluster_table(results: Values) -> str:
    """Seconds and bytes of workers that train together, beside one process."""
    runs = results["cluster"]["runs"]
    alone = {run["experts"]: run["seconds_an_epoch"] for run in runs if not run["workers"]}
    rows = [
        (
            run["experts"],
            run["workers"] or "none (one process)",
            f"{run['seconds_an_epoch']:.2f}",
            f"{run['seconds_an_epoch'] / alone[run['experts']]:.2f}",
            f"{run['bytes_a_step_and_worker'] / 1e6:.1f}",
        )
        for run in runs
    ]
    heading = ("experts", "workers", "epoch (s)", "relative to one process")
    return markdown_table((*heading, "MB per step and worker"), rows)
