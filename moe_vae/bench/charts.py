"""The measurements' figures."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from moe_vae.bench.step_model import EXTRAPOLATED_EXAMPLES, EXTRAPOLATED_WORKERS
from moe_vae.bench.worker import POST_ENGINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_epochs", "plot_growth", "plot_scaling", "plot_training_growth"]

Record = Mapping[str, Any]

STAGE_LABELS = {
    "beginning": "at the beginning",
    "decided": "once the manager has decided",
}
# What is timed as `growth` grows, and the figure's name for it.
WORK_LABELS = {
    "predict": "images assigned to an expert",
    "score": "images scored by every expert",
    "generate": "images generated",
}
OUTLIER = 1.5  # more than so many times the median is an epoch to explain
GROWTH_LABELS = {"experts": "experts", "batch": "images a batch", "side": "pixels an image"}


def plot_epochs(epochs: Mapping[str, Sequence[Record]]) -> "Figure":
    """Draws the seconds of every epoch's training steps.

    Args:
      epochs: dict of engine or peer to a list of dicts with `train`, in seconds.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    for name, values in epochs.items():
        numbers = range(2, 2 + len(values))  # the first epoch does not count
        width = 2.5 if name in POST_ENGINES else 1.2  # the peers' lines are thin
        ax.plot(numbers, [epoch["train"] for epoch in values], label=name, linewidth=width)
    ax.set(
        xlabel="epoch",
        ylabel="training steps (seconds an epoch)",
        title="Training post 3's model",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(bottom=0)
    _explain_outliers(ax, epochs)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _explain_outliers(ax: "Axes", epochs: Mapping[str, Sequence[Record]]) -> None:
    """Writes what is known of the epochs that took much longer than their engine's median.

    The processor's time beside the clock's tells work from waiting.
    """
    places, lines = [], []
    for name, values in epochs.items():
        usual = median(epoch["train"] for epoch in values)
        for number, epoch in enumerate(values, 2):
            if epoch["train"] <= OUTLIER * usual:
                continue
            places.append((number, epoch["train"]))
            line = f"{name}, epoch {number}: {epoch['train']:.1f} s (median {usual:.1f} s)"
            if "train_cpu" in epoch:
                usual = median(each["train_cpu"] for each in values)
                line += f",\n    processor {epoch['train_cpu']:.1f} s (median {usual:.1f} s)"
            lines.append(line)
    if places:
        highest = max(places, key=lambda place: place[1])
        style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "va": "top"}
        ax.annotate("\n".join(lines), highest, (8, 0), **style)


def plot_growth(points: Sequence[Record], fixed: Mapping[str, int]) -> "Figure":
    """Draws speed and memory against what grows, one column for each.

    Args:
      points: what `measure_growth` returned.
      fixed: dict of `experts`, `batch` and `side` to the value that each has while another grows.
    """
    from matplotlib.figure import Figure

    names = [axis for axis in GROWTH_LABELS if any(point["axis"] == axis for point in points)]
    figure = Figure(figsize=(4.2 * len(names), 6.4), layout="constrained")
    rows = figure.subplots(2, len(names), squeeze=False)
    for (speed, memory), axis in zip(rows.T, names, strict=True):
        _plot_axis(speed, memory, axis, [point for point in points if point["axis"] == axis])
    rows[0, 0].set_ylabel("images a second")
    rows[1, 0].set_ylabel("peak memory of the process (MiB)")
    lines, labels = rows[0, 0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    size = f"{fixed['side']} x {fixed['side']} pixels"
    figure.suptitle(
        "Prediction and generation, fused engine\n"
        f"(unless varied: {fixed['experts']} experts, batches of {fixed['batch']}, {size})"
    )
    return figure


def _plot_axis(speed: "Axes", memory: "Axes", axis: str, points: Sequence[Record]) -> None:
    x = [point[axis] ** (2 if axis == "side" else 1) for point in points]
    for work, label in WORK_LABELS.items():
        speed.loglog(x, [point["images_a_second"][work] for point in points], "o-", label=label)
    memory.plot(x, [point["peak_bytes"] / 2**20 for point in points], "o-")
    memory.set_xscale("log")
    memory.set_ylim(bottom=0)
    for ax in (speed, memory):
        ax.set_xlabel(GROWTH_LABELS[axis])
        ax.grid(alpha=0.3)


def plot_training_growth(points: Sequence[Record]) -> "Figure":
    """Draws a training step's time and the process's memory against the number of experts.

    Args:
      points: what `measure_training_growth` returned.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    speed, memory = figure.subplots(1, 2)
    numbers = sorted({point["experts"] for point in points})
    lines = dict.fromkeys((point["engine"], point["stage"]) for point in points)
    engines = list(dict.fromkeys(engine for engine, _ in lines))
    stages = list(dict.fromkeys(stage for _, stage in lines))
    for engine, stage in lines:
        of_line = [p for p in points if (p["engine"], p["stage"]) == (engine, stage)]
        x = [point["experts"] for point in of_line]
        style: dict[str, Any] = {
            "color": f"C{engines.index(engine)}",
            "ls": ("-", "--")[stages.index(stage)],
            "marker": ("o", "s")[stages.index(stage)],
            "label": f"{engine}, {STAGE_LABELS[stage]}",
        }
        speed.loglog(x, [1e3 * point["seconds"] for point in of_line], **style)
        memory.plot(x, [point["peak_bytes"] / 2**20 for point in of_line], **style)
    speed.set_ylabel("milliseconds a training step")
    memory.set_ylabel("peak memory of the process (MiB)")
    memory.set_xscale("log")
    memory.set_ylim(bottom=0)
    for ax in (speed, memory):
        ax.set_xticks(numbers, [str(number) for number in numbers])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("experts")
        ax.grid(alpha=0.3)
    handles, labels = speed.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle("Training post 3's model, batches of 100")
    return figure


def plot_scaling(
    runs: Sequence[Record], model: Record, extrapolated: Sequence[Record], n_examples: int
) -> "Figure":
    """Draws the seconds an epoch over the number of workers, measured and extrapolated.

    Args:
      runs: the measured runs.
      model: what `fit_model` returns for them.
      extrapolated: what `extrapolate` returns, for one or more batch sizes and numbers of servers.
      n_examples: number of images of the measured runs.

    Returns:
      A figure of a panel with measurements, as dots, and the model, as lines; and one with the
      model alone for each number of experts.
    """
    from matplotlib.figure import Figure

    numbers = sorted({entry["experts"] for entry in extrapolated})
    figure = Figure(figsize=(4.6 * (1 + len(numbers)), 4.6), layout="constrained")
    measured, *others = figure.subplots(1, 1 + len(numbers))
    _plot_measured(measured, runs, model, n_examples)
    _label_workers(measured, sorted({run["workers"] for run in runs} - {0}), n_columns=2)
    for ax, n_experts in zip(others, numbers, strict=True):
        _plot_extrapolated(ax, [e for e in extrapolated if e["experts"] == n_experts])
        _label_workers(ax, EXTRAPOLATED_WORKERS)
    return figure


def _label_workers(ax: "Axes", ticks: Sequence[int], n_columns: int = 1) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.title.set_fontsize(10)
    ax.set_xlabel("worker processes")
    ax.set_ylabel("seconds an epoch")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, ncols=n_columns)


def _plot_measured(ax: "Axes", runs: Sequence[Record], model: Record, n_examples: int) -> None:
    cores = max(run["cores"] for run in runs)
    fitted = [
        run["seconds_an_epoch"] * (1 + error)
        for run, error in zip(runs, model["relative_errors"], strict=True)
    ]
    for n_experts in sorted({run["experts"] for run in runs}):
        rows = [
            (run["workers"], run["seconds_an_epoch"], seconds)
            for run, seconds in zip(runs, fitted, strict=True)
            if run["experts"] == n_experts
        ]
        (_, alone, _), *together = sorted(rows)
        workers, measured, of_model = zip(*together, strict=True)
        (line,) = ax.plot(workers, of_model, label=f"{n_experts} experts")
        ax.plot(workers, measured, "o", color=line.get_color())
        ax.axhline(alone, color=line.get_color(), linestyle=":")
    # The legend's first column tells the colours, the second one the marks.
    for mark, label in (("o", "measured"), ("-", "model"), (":", "measured, one process")):
        ax.plot([], [], mark, color="black", label=label)
    ax.set_title(f"Measured, and the model: {n_examples:,} images, {cores} cores")
    ax.set_ylim(0, 1.25 * ax.get_ylim()[1])  # room for the legend


def _plot_extrapolated(ax: "Axes", entries: Sequence[Record]) -> None:
    fewest = min(entry["parameter_servers"] for entry in entries)
    batch_sizes = sorted({entry["batch_size"] for entry in entries})
    for entry in entries:
        n_servers, batch_size = entry["parameter_servers"], entry["batch_size"]
        # A thin line can be seen on a broad one that it coincides with.
        style: dict[str, Any] = (
            {"lw": 5, "alpha": 0.4} if n_servers == fewest else {"ls": "--", "zorder": 3}
        )
        ax.plot(
            list(map(int, entry["workers"])),
            entry["workers"].values(),
            color=f"C{batch_sizes.index(batch_size)}",
            label=f"batches of {batch_size:,}, servers: {n_servers}",
            **style,
        )
    ax.axhline(entries[-1]["alone"], color="black", linestyle=":", label="one process")
    n_experts = entries[-1]["experts"]
    ax.set_title(f"Model alone: {n_experts} experts, {EXTRAPOLATED_EXAMPLES:,} images, a core each")
    ax.set_yscale("log")
