"""The README's tables, made of the results."""

import re

import numpy as np

from moe_vae.parameters import ParameterError

__all__ = ["RESULTS", "TABLES", "fill_tables"]

# The result files, by name, that the tables are made of.
RESULTS = ("posts", "tensorflow_1_15", "clustering", "faults")


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
    """Mean and sample standard deviation of values, as text."""
    return f"{form.format(np.mean(values))} ± {form.format(np.std(values, ddof=1))}"


def clustering_table(results):
    """VaDE, DMVAE and the baselines as clusterings of the spiral's test points."""
    clustering = results["clustering"]
    scores, losses = {}, {}
    for model, name in (("vade", "VaDE"), ("dmvae", "DMVAE")):
        runs = [run for run in clustering["runs"] if run["model"] == model]
        scores[name] = [run["test"] for run in runs]
        losses[name] = [run["evaluation"]["validation"]["loss"] for run in runs]
        for baseline in runs[0]["evaluation"]["codes"]:
            scores[f"{baseline}, on {name}'s codes"] = [
                run["evaluation"]["codes"][baseline] for run in runs
            ]
    for baseline in (name for name in clustering["baselines"][0] if name != "seed"):
        scores[f"{baseline}, on the points"] = [
            of_seed[baseline] for of_seed in clustering["baselines"]
        ]
    rows = []
    for name, of_seeds in scores.items():
        spreads = (
            _spread([score[measure] for score in of_seeds], "{:.3f}")
            for measure in ("accuracy", "nmi", "ari")
        )
        each = ([score["accuracy"] for score in of_seeds], losses.get(name, []))
        rows.append((name, *spreads, *(", ".join(f"{v:.3f}" for v in values) for values in each)))
    heading = ("system", "accuracy", "NMI", "ARI", "accuracy of each seed", "its held-out loss")
    return _table(heading, rows)


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
    "clustering": clustering_table,
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
