"""Nearest neighbours in sets that are too large to compare every two examples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.chunks import Rows, row_chunks

__all__ = ["approximate_neighbours", "load_faiss", "principal_components"]

N_COMPONENTS = 50
SAMPLE_SIZE = 50_000  # of the examples that the components are computed from
# Of the lists that faiss divides the examples into, this many are searched for each example.
N_PROBES = 16
CELLS_PER_ROOT = 4  # lists for each unit of the square root of the number of examples
TRAINING_POINTS = 64  # examples for each list, from which its centre is computed


def load_faiss(n_examples: int) -> Any:
    """Returns the module faiss.

    Raises:
      DataError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise DataError(
            f"nearest neighbours of {n_examples} examples need the package faiss-cpu, which is not "
            "installed: pip install 'moe_vae[large]'"
        ) from error
    return faiss


def principal_components(
    examples: Rows, prepare: Callable[[np.ndarray], np.ndarray], n_components: int = N_COMPONENTS
) -> np.ndarray:
    """Returns the coordinates of the examples along their principal components.

    The components are those of 50,000 examples, drawn with a fixed seed. Distances between
    coordinates approximate distances between examples, in a fraction of the memory.

    Args:
      examples: array or `StoredImages` [n, n_features].
      prepare: function of some of the examples that is applied first, such as `deskew`.
      n_components: the number of components; if there are fewer features, their number.

    Returns:
      Float32 array [n, n_components].
    """
    from sklearn.decomposition import PCA

    random = np.random.default_rng(0)
    sample = random.choice(len(examples), min(len(examples), SAMPLE_SIZE), replace=False)
    values = prepare(examples[np.sort(sample)])
    # With this solver the result does not depend on a random start.
    pca = PCA(min(n_components, *values.shape), svd_solver="covariance_eigh").fit(values)
    del values
    coordinates = np.empty([len(examples), pca.n_components_], np.float32)
    for chunk in row_chunks(examples):
        coordinates[chunk] = pca.transform(prepare(examples[chunk]))
    return coordinates


def approximate_neighbours(points: np.ndarray, n_neighbours: int) -> np.ndarray:
    """Finds each point's nearest neighbours by Euclidean distance, most of them, with faiss.

    The points are divided into lists around centres that K-means finds. For each point, the lists
    of the nearest centres are searched. The result is the same each time.
    `benchmarks/neighbours.py` compares cost and recall with other ways.

    Args:
      points: float32 array [n, n_features].
      n_neighbours: in 1 to n - 1.

    Returns:
      Int32 array [n, n_neighbours], rows of `points`.

    Raises:
      DataError: faiss is not installed.
    """
    faiss = load_faiss(len(points))
    points = np.ascontiguousarray(points, np.float32)
    n_lists = max(1, int(CELLS_PER_ROOT * np.sqrt(len(points))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], n_lists)
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAINING_POINTS
    index.train(points)
    index.add(points)
    found = np.empty([len(points), n_neighbours], np.int32)
    for chunk in row_chunks(points):
        found[chunk] = _search_lists(index, points, chunk, n_neighbours)
    return found


def _search_lists(index: Any, points: np.ndarray, chunk: slice, n_neighbours: int) -> np.ndarray:
    queries = points[chunk]
    index.nprobe = min(N_PROBES, index.nlist)
    rows = index.search(queries, n_neighbours + 1)[1]
    # Short lists may hold fewer examples than are asked for; then all lists are searched.
    short = (rows < 0).any(axis=1)
    if short.any():
        index.nprobe = index.nlist
        rows[short] = index.search(queries[short], n_neighbours + 1)[1]
    return _without_self(rows, chunk.start)


def _without_self(rows: np.ndarray, start: int) -> np.ndarray:
    """Removes each example from its own neighbours, or the last one if it is not among them."""
    own = rows == start + np.arange(len(rows))[:, None]
    own[~own.any(axis=1), -1] = True
    return rows[~own].reshape(len(rows), -1)
