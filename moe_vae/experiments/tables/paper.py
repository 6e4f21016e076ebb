"""The README's tables, made of the results."""

import re

import numpy as np
from scipy.stats import spearmanr

from moe_vae.experiments.recipes import N_STYLES, SPECIALIST_STEPS
from moe_vae.models.gates import SYSTEMS
from moe_vae.params import ParameterError

__all__ = ["RESULTS", "TABLES", "fill_tables"]

# The result files, by name, that the tables are made of.
RESULTS = (
    "posts",
    "tensorflow_1_15",
    "clustering_spiral",
    "clustering_mnist",
    "paper",
    "table1",
    "objectives",
    "table2",
    "specialists",
    "times",
    "cluster",
    "bench",
    "bench_scaling",
    "faults",
)

ENGINES = ("fused", "plain")
N_KINDS = 12  # of operations, that a profile shows
PRODUCTS = ("MatMul", "_FusedMatMul", "BatchMatMulV2")


def _row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _table(heading, rows):
    return "\n".join([_row(*heading), _row(*["---"] * len(heading)), *(_row(*r) for r in rows)])


def _number(values, name, form):
    return form.format(values[name]) if name in values else "not recorded"


def _mean(runs, names):
    """The mean over runs of each name that all of them recorded."""
    shared = [name for name in names if all(name in run for run in runs)]
    return {
        "seed": f"mean of {len(runs)}",
        **{name: sum(run[name] for run in runs) / len(runs) for name in shared},
    }


def _beside_tensorflow_1(results, model, heading, columns, ours):
    """TensorFlow 1.15's runs and their mean, then ours; `columns`: name to format."""
    runs = [run for run in results["posts"]["runs"] if run["model"] == model]
    rows = []
    for code, scores in (
        ("TensorFlow 1.15", results["tensorflow_1_15"][model]),
        ("this package", [{"seed": run["seed"], **ours(run)} for run in runs]),
    ):
        for values in (*scores, _mean(scores, columns)):
            cells = (_number(values, name, form) for name, form in columns.items())
            rows.append((code, values["seed"], *cells))
    return _table(("code", "seed", *heading), rows)


def conditional_vae_table(results):
    """Post 2 after its 20 epochs, TensorFlow 1.15's runs and ours."""
    return _beside_tensorflow_1(
        results,
        "conditional-vae",
        (
            "VAE loss",
            "digit classifier loss",
            "test accuracy",
            "generated digits recognised",
        ),
        {
            "loss_auto_encode": "{:.3f}",
            "loss_digit_classifier": "{:.3f}",
            "accuracy": "{:.4f}",
            "generation": "{:.4f}",
        },
        lambda run: {
            "loss_auto_encode": run["history"]["loss_auto_encode"][-1],
            "loss_digit_classifier": run["history"]["loss_digit_classifier"][-1],
            "accuracy": run["test"]["accuracy"],
            "generation": run["evaluation"]["generation"]["share"],
        },
    )


def mixture_of_vaes_table(results):
    """Post 3 after its 100 epochs, TensorFlow 1.15's runs and ours."""
    return _beside_tensorflow_1(
        results,
        "mixture-of-vaes",
        ("expected expert loss", "balancing loss", "clustering accuracy", "NMI", "ARI"),
        {
            "expected_expert_loss": "{:.3f}",
            "balancing_loss": "{:,.0f}",
            "accuracy": "{:.4f}",
            "nmi": "{:.4f}",
            "ari": "{:.4f}",
        },
        lambda run: {
            "expected_expert_loss": run["history"]["expected_expert_loss"][-1],
            "balancing_loss": run["history"]["balancing_loss"][-1],
            **run["test"],
        },
    )


def _spread(values, form):
    """Mean and sample standard deviation of values, as text; of one value itself."""
    mean = form.format(np.mean(values))
    return f"{mean} ± {form.format(np.std(values, ddof=1))}" if len(values) > 1 else mean


def spiral_table(results):
    """VaDE, DMVAE and the baselines as clusterings of the spiral's test points."""
    return _clustering_table(results["clustering_spiral"], {"vade": "VaDE", "dmvae": "DMVAE"})


def mnist_table(results):
    """The same of MNIST's test images, with the encoder that both begin with."""
    names = {"information": "information encoder", "dmvae": "DMVAE", "vade": "VaDE"}
    table = _clustering_table(results["clustering_mnist"], names)
    published = (
        _row(f"{name}, as published", score, *[""] * 5)
        for name, score in results["paper"]["mnist_clustering"].items()
    )
    return "\n".join([table, *published])


def _clustering_table(clustering, names):
    scores, losses = {}, {}
    for model, name in names.items():
        runs = [run for run in clustering["runs"] if run["model"] == model]
        scores[name] = [run["test"] for run in runs]
        losses[name] = [_held_out_loss(run) for run in runs]
        for baseline in runs[0]["evaluation"].get("codes", {}):
            scores[f"{baseline}, on {name}'s codes"] = [
                run["evaluation"]["codes"][baseline] for run in runs
            ]
    for baseline in (name for name in clustering["baselines"][0] if name != "seed"):
        scores[f"{baseline}, on the data"] = [
            of_seed[baseline] for of_seed in clustering["baselines"]
        ]
    rows = []
    for name, of_seeds in scores.items():
        spreads = (
            _spread([score[measure] for score in of_seeds], "{:.3f}")
            for measure in ("accuracy", "nmi", "ari")
        )
        accuracies, of_losses = [score["accuracy"] for score in of_seeds], losses.get(name, [])
        each = (", ".join(f"{v:.3f}" for v in values) for values in (accuracies, of_losses))
        rows.append((name, *spreads, *each, _rank_correlation(of_losses, accuracies)))
    heading = ("system", "accuracy", "NMI", "ARI", "accuracy of each seed")
    return _table((*heading, "its label-free loss", "rank correlation"), rows)


def _rank_correlation(losses, accuracies):
    """Spearman's, of low losses and high accuracies; empty where there is nothing to rank."""
    if not losses or len(set(accuracies)) == 1:
        return ""
    return f"{spearmanr(np.negative(losses), accuracies).statistic:.2f}"


def _held_out_loss(run):
    """The loss by which seeds can be ranked without labels; an encoder has that of its training."""
    evaluation = run["evaluation"]
    return (
        evaluation["validation"]["loss"]
        if "validation" in evaluation
        else run["history"]["loss"][-1]
    )


def regression_table(results):
    """Table 1: squared test errors by data, dimensions and system, beside the paper's."""

    def row(data, n_outputs, cells):
        paper = results["paper"]["table_1"][data]
        theirs = (paper[gate].get(str(n_outputs), "") for gate in ("deep", "dmvae"))
        return data, n_outputs, *_by_system(cells, "squared_error", "{:.3g}"), *theirs

    heading = ("data", "D", *SYSTEMS.values(), "Deep MoE, paper", "DVMoE, paper")
    return _table(heading, [row(*group) for group in _regressions(results)])


def explained_table(results):
    """Table 1's explained shares of variance, R^2."""
    rows = [
        (data, n_outputs, *_by_system(cells, "r2", "{:.4f}"))
        for data, n_outputs, cells in _regressions(results)
    ]
    return _table(("data", "D", *SYSTEMS.values()), rows)


def _regressions(results):
    """Yields data, number of outputs and the cells of each row of Table 1."""
    cells = results["table1"]["cells"]
    keys = dict.fromkeys((_data_name(cell), cell["params"]["n_outputs"]) for cell in cells)
    for data, n_outputs in keys:
        yield (
            data,
            n_outputs,
            [
                cell
                for cell in cells
                if (_data_name(cell), cell["params"]["n_outputs"]) == (data, n_outputs)
            ],
        )


def _objective_key(cell):
    params = cell["params"]
    return _data_name(cell), params["n_outputs"], params["gate"], params["task_objective"]


def _data_name(cell):
    return cell["data"].lower()


def _by_system(cells, measure, form):
    for gate in SYSTEMS:
        values = [cell["test"][measure] for cell in cells if cell["params"]["gate"] == gate]
        yield _spread(values, form)


def objectives_table(results):
    """The squared errors of one row of Table 1 under each objective."""
    cells = {}
    for cell in (*results["table1"]["cells"], *results["objectives"]["cells"]):
        cells.setdefault(_objective_key(cell), []).append(cell["test"])
    asked = {key[:3] for key in map(_objective_key, results["objectives"]["cells"])}
    rows = [
        (
            SYSTEMS[gate],
            objective.replace("_", " "),
            _spread([test["squared_error"] for test in tests], "{:.3g}"),
            ", ".join(f"{test['squared_error']:.3g}" for test in tests),
        )
        for (*where, gate, objective), tests in sorted(cells.items())
        if (*where, gate) in asked
    ]
    return _table(("system", "objective", "squared error", "of each draw"), rows)


def classification_table(results):
    """Table 2: test accuracies of MNIST's classification, beside the authors' later claims."""
    cells, claims = results["table2"]["cells"], results["paper"]["table_2"]
    rows = []
    for gate, name in SYSTEMS.items():
        tests = [cell["test"] for cell in cells if cell["params"]["gate"] == gate]
        rows.append(
            (
                name,
                _spread([test["accuracy"] for test in tests], "{:.4f}"),
                ", ".join(f"{test['accuracy']:.4f}" for test in tests),
                _spread([test["gate"]["accuracy"] for test in tests], "{:.3f}"),
                claims.get(gate, ""),
            )
        )
    heading = ("system", "test accuracy", "of each seed", "its gate as a clustering", "claimed")
    return _table(heading, rows)


def _of_step(results, step, data=None):
    """The runs of a step, on MNIST unless another data set is named."""
    runs = (run for run in results["specialists"]["runs"] if run["step"] == step)
    return [run for run in runs if (data or "MNIST") == run["data"]]


def specialists_table(results):
    """Each seed's ten specialists: clustering, information, and how well the experts draw."""
    rows = []
    for run in _of_step(results, "mixture-of-vaes"):
        drawn = run["evaluation"]["generation"]
        (router,) = (
            router for router in _of_step(results, "information") if router["seed"] == run["seed"]
        )
        rows.append(
            {
                "seed": run["seed"],
                "accuracy": run["test"]["accuracy"],
                "nmi": run["test"]["nmi"],
                "ari": run["test"]["ari"],
                "information": router["history"]["information"][-1],
                "share": drawn["share"],
                "n_digits": drawn["n_digits"],
            }
        )
    forms = dict.fromkeys(("accuracy", "nmi", "ari"), "{:.4f}")
    forms |= {"information": "{:.3f}", "share": "{:.4f}", "n_digits": "{:.0f}"}
    filled = [
        (row["seed"], *(form.format(row[name]) for name, form in forms.items()))
        for row in (*rows, _mean(rows, forms))
    ]
    published = [
        (f"{name}, as published", f"{accuracy:.3f}", *[""] * 5)
        for name, accuracy in results["paper"]["mnist_clustering_elsewhere"].items()
    ]
    heading = ("seed", "clustering accuracy", "NMI", "ARI", "information (nats)")
    heading += ("drawn digits recognised", "different digits")
    return _table(heading, [*filled, *published])


def ablation_table(results):
    """What the clustering comes to without a part of the recipe."""
    without = {
        "the post's routing": [
            run for run in results["posts"]["runs"] if run["model"] == "mixture-of-vaes"
        ],
        "the post's, balanced by entropy": _of_step(results, "balanced"),
        "without neighbours": _of_step(results, "without-neighbours"),
        "without augmentation": _of_step(results, "without-augmentation"),
        "neighbours as the images are, grouped once": [
            run for run in results["clustering_mnist"]["runs"] if run["model"] == "information"
        ],
        "everything, then together with the experts": _of_step(results, "together"),
        "everything, then the experts behind it": _of_step(results, "information"),
    }
    rows = [
        (
            name,
            *(_spread([run["test"][m] for run in runs], "{:.4f}") for m in ("accuracy", "nmi")),
            ", ".join(f"{run['test']['accuracy']:.4f}" for run in runs),
        )
        for name, runs in without.items()
        if runs
    ]
    return _table(("routing", "clustering accuracy", "NMI", "accuracy of each seed"), rows)


def other_data_table(results):
    """The router on other data, with the parameters that it has for MNIST."""
    rows = [
        (
            run["data"],
            run["seed"],
            "yes" if run["model"] == "mixture-of-vaes" else "no",
            *(f"{run['test'][measure]:.4f}" for measure in ("accuracy", "nmi")),
            # Experts come after a router that has had its training.
            "" if run["model"] == "mixture-of-vaes" else f"{run['history']['information'][-1]:.2f}",
            len(run["seconds"]),
        )
        for run in results["specialists"]["runs"]
        if run["data"] != "MNIST"
    ]
    heading = ("data", "seed", "experts", "clustering accuracy", "NMI", "information (nats)")
    heading += ("epochs",)
    return _table(heading, rows)


def hierarchy_table(results):
    """Bounds on the log likelihood: ten VAEs, ten wider ones, and ten mixtures of VAEs."""

    def bounds_of(step):
        runs = _of_step(results, step)
        return [(run["history"]["bound"][-1], run["test"]["losses"]["bound"]) for run in runs]

    rows = [("ten VAEs", *(f"{bound:.2f}" for bound in bounds_of("mixture-of-vaes")[0]), "", "")]
    for n_styles in N_STYLES:
        wide = bounds_of(f"wide-{n_styles}")
        steps = {
            f"wide-{n_styles}": f"ten VAEs, {n_styles} times as wide",
            f"hierarchy-{n_styles}": f"ten mixtures of {n_styles} VAEs",
        }
        if n_styles == SPECIALIST_STEPS["shapes"].params["n_styles"]:
            steps["shapes"] = f"ten mixtures of up to {n_styles}, by the router's outputs"
        rows += [
            (name, *(f"{bound:.2f}" for bound in bounds), *_gains(bounds, wide[0]))
            for step, name in steps.items()
            for bounds in bounds_of(step)
        ]
    heading = ("experts", "bound, training images", "bound, test images")
    return _table((*heading, "gained, training", "gained, test"), rows)


def _gains(bounds, others):
    pairs = zip(bounds, others, strict=True)
    return [f"{(ours - theirs) / abs(theirs):+.2%}" for ours, theirs in pairs]


def times_table(results):
    """Seconds an epoch and a prediction, VaDE beside DMVAE."""
    times = results["times"]
    kinds = {"epoch": "an epoch's training steps", "prediction": "the gate of all test images"}
    rows = [
        (what, name, f"{np.median(values):.3g}", f"{min(values):.3g}", f"{max(values):.3g}")
        for kind, what in kinds.items()
        for name, values in times[kind].items()
    ]
    return _table(("what", "model", "median (s)", "least", "most"), rows)


def cluster_table(results):
    """Seconds and bytes of workers that train together, beside one process alone."""
    runs = results["cluster"]["runs"]
    alone = {run["experts"]: run["seconds_an_epoch"] for run in runs if not run["workers"]}
    rows = [
        (
            run["experts"],
            run["workers"] or "alone",
            f"{run['seconds_an_epoch']:.2f}",
            f"{run['seconds_an_epoch'] / alone[run['experts']]:.2f}",
            f"{run['bytes_a_step_and_worker'] / 1e6:.1f}",
        )
        for run in runs
    ]
    heading = ("experts", "workers", "an epoch (s)", "times alone", "MB a step and worker")
    return _table(heading, rows)


def bench_table(results):
    """Seconds of an epoch and its parts, by engine and peer, with the ratios to the fused one."""
    bench = results["bench"]
    summary, rows = bench["summary"], []
    for name, median in summary["medians"].items():
        parts = ("first", "last", "train", "evaluate", "samples", "whole")
        cells = (f"{median[part]:.3g}" if part in median else "" for part in parts)
        whole = summary["whole_times_fused"].get(name)
        ratios = f"{summary['times_fused'][name]:.2f}", "" if whole is None else f"{whole:.2f}"
        rows.append((name, *cells, *ratios, f"{bench['peak_bytes'][name] / 2**20:.0f}"))
    cores = f"{bench['cores']} core{'s' if bench['cores'] > 1 else ''}"
    heading = (f"{bench['data']}, {cores}", "steps, first 3", "last 3", "all", "evaluation")
    heading += ("samples", "all three", "steps, times fused", "all three, times fused")
    return _table((*heading, "peak memory (MiB)"), rows)


def bench_floor_table(results):
    """What a training step takes on the machine if all experts see all images, part by part."""
    bench = results["bench"]
    floor, steps = bench["floor"], bench["steps"]
    rows = [
        (f"products, {pixels} pixels read", floor["products"][kind], floor["rate"][kind])
        for kind, pixels in floor["pixels"].items()
    ]
    rows += [("Adam", floor["adam"], None), ("a sigmoid a pixel", floor["sigmoid"], None)]
    rows += [
        (f"floor, {pixels} pixels read", floor["step"][kind], None)
        for kind, pixels in floor["pixels"].items()
    ]
    rows += [
        (
            f"a step, {engine}, {epochs}",
            bench["summary"]["medians"][engine][part] / steps,
            None,
        )
        for part, epochs in (("first", "first 3 epochs"), ("last", "last 3"))
        for engine in ENGINES
    ]
    return _table(
        ("what", "a step (ms)", "GFLOP/s"),
        [
            (what, f"{1e3 * seconds:.2f}", "" if rate is None else f"{rate / 1e9:.0f}")
            for what, seconds, rate in rows
        ],
    )


def bench_profile_table(results):
    """Milliseconds of a training step by kind of operation, the longest of both engines."""
    profile = {engine: results["bench"]["profile"][engine]["kinds"] for engine in ENGINES}
    none = {"seconds": 0, "count": 0}

    def seconds_of(kind):
        return max(of_engine.get(kind, none)["seconds"] for of_engine in profile.values())

    kinds = sorted({**profile["fused"], **profile["plain"]}, key=seconds_of, reverse=True)[:N_KINDS]

    def row(kind):
        for engine in ENGINES:
            entry = profile[engine].get(kind, none)
            yield from (f"{1e3 * entry['seconds']:.2f}", entry["count"])

    rows = [(kind, *row(kind)) for kind in kinds]
    totals = []
    for engine in ENGINES:
        entries = profile[engine].values()
        seconds = sum(entry["seconds"] for entry in entries)
        totals += [f"{1e3 * seconds:.2f}", sum(entry["count"] for entry in entries)]
    rows.append(("all kinds", *totals))
    return _table(("operation", "fused (ms)", "number", "plain (ms)", "number"), rows)


def bench_models_table(results):
    """Seconds of an epoch's training steps in both engines, and what a plain step's are made of."""
    rows = []
    for name, model in results["bench"]["models"].items():
        kinds = model["profile"]["kinds"]
        everything = sum(entry["seconds"] for entry in kinds.values())
        products = sum(kinds[kind]["seconds"] for kind in PRODUCTS if kind in kinds)
        adam = sum(entry["seconds"] for kind, entry in kinds.items() if "ApplyAdam" in kind)
        medians = (model["medians"][engine] for engine in ENGINES)
        first = model["first_epoch"]["fused"]["train"]
        rows.append(
            (
                name,
                *(f"{seconds:.2f}" for seconds in medians),
                f"{model['times_fused']:.2f}",
                f"{first:.2f}",
                *(f"{model['peak_bytes'][engine] / 2**20:.0f}" for engine in ENGINES),
                *(f"{part / everything:.0%}" for part in (products, adam)),
            )
        )
    heading = ("model", "fused (s)", "plain (s)", "times fused", "the first epoch, fused (s)")
    heading += ("peak memory, fused (MiB)", "plain (MiB)", "products", "Adam")
    return _table(heading, rows)


def bench_scaling_table(results):
    """Images a second and memory of the fused model by experts, batch and image size."""
    rows = []
    for point in results["bench_scaling"]["points"]:
        rates = point["images_a_second"].values()
        size = f"{point['side']} x {point['side']}"
        cells = (f"{rate:,.0f}" for rate in rates)
        memory = f"{point['peak_bytes'] / 2**20:.0f}"
        rows.append((point["experts"], point["batch"], size, *cells, memory))
    heading = ("experts", "batch", "image", "told apart a second", "scored by every expert")
    return _table((*heading, "drawn a second", "peak memory (MiB)"), rows)


def faults_table(results):
    """Each fault that a training was put to, how it was made, how often, and what was lost."""
    rows = {}
    for record in results["faults"]["faults"]:
        row = rows.setdefault(record["fault"], {"made by": [], "times": 0, "lost": 0})
        if record["made by"] not in row["made by"]:
            row["made by"].append(record["made by"])
        row["times"] += record["times"]
        row["lost"] += record["lost"]
        row["outcome"] = record["outcome"]
    return _table(
        ("fault", "made by", "times", "the run", "values lost"),
        [
            (fault, ", ".join(row["made by"]), row["times"], row["outcome"], row["lost"])
            for fault, row in rows.items()
        ],
    )


TABLES = {
    "conditional-vae": conditional_vae_table,
    "mixture-of-vaes": mixture_of_vaes_table,
    "spiral": spiral_table,
    "mnist": mnist_table,
    "table1": regression_table,
    "table1-r2": explained_table,
    "objectives": objectives_table,
    "table2": classification_table,
    "specialists": specialists_table,
    "ablation": ablation_table,
    "other-data": other_data_table,
    "hierarchy": hierarchy_table,
    "times": times_table,
    "cluster": cluster_table,
    "bench": bench_table,
    "bench-floor": bench_floor_table,
    "bench-profile": bench_profile_table,
    "bench-models": bench_models_table,
    "bench-scaling": bench_scaling_table,
    "faults": faults_table,
}

_SLOT = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def fill_tables(text, results):
    """Writes each table of results into its slot in a text.

    A slot stands between `<!-- table: NAME -->` and `<!-- end of table -->`, each on a line.

    Args:
      text: the text with its slots, filled or empty.
      results: dict of a result file's name, without `.json`, to its content.

    Returns:
      The text with every slot filled anew.

    Raises:
      ParameterError: a slot asks for a table that does not exist.
    """

    def fill(match):
        opening, name, closing = match.groups()
        if name not in TABLES:
            raise ParameterError(f"table {name!r} is unknown: allowed are {', '.join(TABLES)}")
        return f"{opening}{TABLES[name](results)}\n{closing}"

    return _SLOT.sub(fill, text)
