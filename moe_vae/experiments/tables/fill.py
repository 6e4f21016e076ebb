"""The generated tables by name, and the pages that show them."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moe_vae.experiments.recipes import RECIPES
from moe_vae.experiments.tables.clusterings import (
    from_scratch_table,
    gate_samples_table,
    relaxed_mixtures_table,
    relaxed_table,
    samples_table,
    temperature_table,
    variants_table,
)
from moe_vae.experiments.tables.fashion import fashion_table
from moe_vae.experiments.tables.faults import faults_table
from moe_vae.experiments.tables.fuzz import fuzz_table
from moe_vae.experiments.tables.headline import headline_table
from moe_vae.experiments.tables.large import large_set_table, neighbours_table
from moe_vae.experiments.tables.paper import (
    classification_table,
    conv_classification_table,
    explained_table,
    mnist_table,
    objectives_table,
    regression_table,
    spiral_table,
    times_table,
)
from moe_vae.experiments.tables.performance import (
    bench_floor_table,
    bench_models_table,
    bench_profile_table,
    bench_scaling_table,
    bench_table,
    bench_training_table,
    cluster_table,
    engine_choice_table,
)
from moe_vae.experiments.tables.posts import (
    balancing_table,
    comparison_table,
    conditional_vae_table,
    labels_table,
    mixture_of_vaes_table,
    networks_table,
    parameters_table,
)
from moe_vae.experiments.tables.regression import (
    medians_table,
    objective_pairs_table,
    pairs_table,
)
from moe_vae.experiments.tables.router_trials import router_trials_table
from moe_vae.experiments.tables.soak import soak_table
from moe_vae.experiments.tables.specialists import (
    ablation_table,
    experts_table,
    hierarchy_table,
    other_data_table,
    router_parts_table,
    router_table,
    specialists_table,
)
from moe_vae.files import read_text, write_whole
from moe_vae.params import ParameterError

__all__ = ["RESULTS", "TABLES", "fill_pages", "fill_tables", "find_pages", "read_results"]

# The result files, by name, that the tables are made of. Every recipe writes one.
RESULTS = (
    "posts",
    "tensorflow_1_15",
    "tensorflow_1_15_seeds",
    "clustering_spiral",
    "clustering_mnist",
    "paper",
    "table1",
    "objectives",
    "table2",
    "times",
    "cluster",
    "bench",
    "bench_scaling",
    "bench_training",
    "faults",
    "fuzz",
    "soak",
    "large-set",
    "neighbours",
    *RECIPES,
)

# Those of studies of runs.
RUN_RESULTS = ("posts", "clustering_spiral", "clustering_mnist", *RECIPES)

# The functions of the results that return a table as Markdown.
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "headline": headline_table,
    "conditional-vae": conditional_vae_table,
    "mixture-of-vaes": mixture_of_vaes_table,
    "posts-comparison": comparison_table,
    "post2-parameters": parameters_table,
    "post3-labels": labels_table,
    "post3-balancing": balancing_table,
    "networks": networks_table,
    "spiral": spiral_table,
    "mnist": mnist_table,
    "table1": regression_table,
    "table1-r2": explained_table,
    "table1-medians": medians_table,
    "table1-pairs": pairs_table,
    "objectives": objectives_table,
    "objectives-pairs": objective_pairs_table,
    "table2": classification_table,
    "table2-conv": conv_classification_table,
    "specialists": specialists_table,
    "router": router_table,
    "router-parts": router_parts_table,
    "experts": experts_table,
    "ablation": ablation_table,
    "other-data": other_data_table,
    "hierarchy": hierarchy_table,
    "relaxed": relaxed_table,
    "temperature": temperature_table,
    "relaxed-mixtures": relaxed_mixtures_table,
    "from-scratch": from_scratch_table,
    "samples": samples_table,
    "gate-samples": gate_samples_table,
    "variants": variants_table,
    "fashion-mnist": fashion_table,
    "router-trials": router_trials_table,
    "large-set": large_set_table,
    "neighbours": neighbours_table,
    "times": times_table,
    "cluster": cluster_table,
    "bench": bench_table,
    "bench-floor": bench_floor_table,
    "bench-profile": bench_profile_table,
    "bench-models": bench_models_table,
    "bench-scaling": bench_scaling_table,
    "bench-training": bench_training_table,
    "engine-choice": engine_choice_table,
    "faults": faults_table,
    "fuzz": fuzz_table,
    "soak": soak_table,
}

_OPENING = re.compile(r"^<!-- table: (\S+) -->\n", re.MULTILINE)
_CLOSING = "<!-- end of table -->"


class NotMeasuredError(KeyError):
    """A table asks for a result file that does not exist; its argument is the file's name."""


class UnknownResultsError(KeyError):
    """A table asks for a result file that no command writes."""


class _Results(dict[str, Any]):
    """The contents of the result files that exist, by name."""

    asked = ""  # the file that was asked for last

    def __getitem__(self, name: str) -> Any:
        self.asked = name
        return super().__getitem__(name)

    def __missing__(self, name: str) -> Any:
        raise (NotMeasuredError if name in RESULTS else UnknownResultsError)(name)


def read_results(directory: Path) -> dict[str, Any]:
    """Reads the result files that the tables are made of.

    Args:
      directory: where they are, `RESULTS` with the ending `.json`.

    Returns:
      Dict of a file's name, without `.json`, to its content. It raises `NotMeasuredError` for a
      file that does not exist yet.

    Raises:
      OSError: a file cannot be read.
      ParameterError: the directory has none of the files, or a file does not hold JSON.
    """
    from moe_vae.schemas import Results, ShownRuns, read_json

    paths = {name: directory / f"{name}.json" for name in RESULTS}
    results = _Results()
    for name, path in paths.items():
        if not path.exists():
            continue
        results[name] = read_json(
            path, ShownRuns if name in RUN_RESULTS else Results, ParameterError
        )
    if not results:
        raise ParameterError(
            f"{directory} holds no results: it must have {paths[RESULTS[0]].name} or another file "
            "that a study wrote"
        )
    return results


def fill_tables(text: str, results: dict[str, Any]) -> str:
    """Writes each table of results into its slot in a text.

    A slot stands between `<!-- table: NAME -->` and `<!-- end of table -->`, each on its own line.
    If a table's result file does not exist yet, its slot says so.

    Args:
      text: the text with its slots, filled or empty.
      results: what `read_results` returns; the files that the text's tables need are enough.

    Returns:
      The text with every slot filled anew.

    Raises:
      ParameterError: a slot asks for a table that does not exist, or has no end.
    """
    before, *slots = _OPENING.split(text)
    filled = [before]
    for name, slot in zip(slots[::2], slots[1::2], strict=True):
        if name not in TABLES:
            raise ParameterError(f"table {name!r} is unknown: allowed are {', '.join(TABLES)}")
        _, closing, after = slot.partition(_CLOSING)
        if not closing:
            raise ParameterError(f"table {name!r} has no end: the line {_CLOSING!r} is missing")
        filled.append(f"<!-- table: {name} -->\n{_table(name, results)}\n{closing}{after}")
    return "".join(filled)


def _table(name: str, results: dict[str, Any]) -> str:
    try:
        return TABLES[name](results)
    except NotMeasuredError as error:
        return f"Not measured yet: `results/{error.args[0]}.json` does not exist."
    except UnknownResultsError:
        raise  # a mistake in the table
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        asked = getattr(results, "asked", None)
        raise ParameterError(
            f"table {name!r} cannot be made of results/{asked or name}.json, which does not hold "
            f"what a study writes there ({type(error).__name__}: {error})"
        ) from error


def find_pages(root: Path) -> list[Path]:
    """Returns the pages that may show tables: `README.md` and the Markdown files under `docs`.

    Args:
      root: the directory of the repository.
    """
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def fill_pages(paths: Iterable[Path], results: dict[str, Any]) -> list[Path]:
    """Writes each table of results into its slots in pages; see `fill_tables`.

    Args:
      paths: Markdown files. Those without a slot, or with the same tables already, stay untouched.
      results: what `read_results` returns.

    Returns:
      The pages that were changed.

    Raises:
      OSError: a page cannot be read or written.
      ParameterError: a page asks for a table that does not exist, or has a slot without an end.
        No page is changed then.
    """
    texts = {}
    for path in paths:
        text = read_text(path, ParameterError)
        try:
            filled = fill_tables(text, results)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error
        if filled != text:
            texts[path] = filled
    for path, text in texts.items():
        write_whole(path, text.encode())
    return list(texts)
