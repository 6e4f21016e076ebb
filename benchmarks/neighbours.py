"""Compares ways to find nearest neighbours: exactly, with faiss, and with PyNNDescent.

The first set is MNIST's 55,000 training images, deskewed. The second is a million images, each a
training image under a small random affine map. The ways search the deskewed images themselves, or
their coordinates along 50 principal components. Recall is the share of the five nearest neighbours
among the deskewed images that a way finds, for 1,000 images drawn at random. Each way
runs in a process of its own, whose peak memory is recorded.

It writes results/neighbours.json. Needs faiss-cpu and pynndescent.

Usage: python benchmarks/neighbours.py [--images N] [--data-dir DIR] [--out FILE.json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from moe_vae.data.large import approximate_neighbours, principal_components
from moe_vae.data.mnist import read_mnist
from moe_vae.data.neighbours import deskew, nearest_neighbours
from moe_vae.data.stored import StoredImages
from moe_vae.files import write_whole

SEED = 0
N_NEIGHBOURS = 5
N_QUERIES = 1000  # images whose exact neighbours are known
BLOCK_SIZE = 10_000
COMPARED = ("scipy", "scikit-learn", "faiss-cpu", "pynndescent", "numba")


# How the million images are made.


def write_augmented(images: np.ndarray, n_images: int, path: Path) -> None:
    """Writes `n_images` uint8 images [n_images, 28, 28], each a varied one of `images`, to a file.

    An image is turned, sheared and scaled by 0.1 at most (standard deviation 0.05) and shifted by
    about a pixel.
    """
    from scipy import ndimage

    random = np.random.default_rng(SEED)
    file = np.lib.format.open_memmap(path, "w+", np.uint8, (n_images, 28, 28))
    places = np.mgrid[:28, :28].astype(np.float32) - 13.5
    for start in range(0, n_images, BLOCK_SIZE):
        n = min(BLOCK_SIZE, n_images - start)
        sources = images[random.integers(len(images), size=n)].reshape(-1, 28, 28)
        maps = np.eye(2) + random.normal(0, 0.05, [n, 2, 2]).clip(-0.1, 0.1)
        moved = np.einsum("nij,jrc->nirc", maps, places) + random.normal(0, 1, [n, 2, 1, 1]) + 13.5
        rows = np.broadcast_to(np.arange(n)[:, None, None], [n, 28, 28])
        varied = ndimage.map_coordinates(sources, [rows, moved[:, 0], moved[:, 1]], order=1)
        file[start : start + n] = np.rint(varied * 255)


# The ways. Each is a function of float32 points [n, n_features] that returns the rows of their
# neighbours, a whole-number array [n, 5].


def search_exactly(points: np.ndarray) -> np.ndarray:
    """Searches as this package does in small sets."""
    return nearest_neighbours(points, N_NEIGHBOURS)


def search_lists(points: np.ndarray) -> np.ndarray:
    """Searches as this package does in large sets: faiss' inverted lists."""
    return approximate_neighbours(points, N_NEIGHBOURS)


def search_graph(points: np.ndarray) -> np.ndarray:
    """Searches with faiss' graph (HNSW), at the settings that its documentation begins with."""
    import faiss

    index = faiss.IndexHNSWFlat(points.shape[1], 16)
    index.hnsw.efConstruction, index.hnsw.efSearch = 40, 32
    index.add(points)
    return index.search(points, N_NEIGHBOURS + 1)[1][:, 1:]


def search_descent(points: np.ndarray) -> np.ndarray:
    """Searches with PyNNDescent, whose graph holds twice the neighbours that are asked for."""
    from pynndescent import NNDescent

    graph = NNDescent(points, n_neighbors=2 * N_NEIGHBOURS + 1, random_state=SEED, n_jobs=-1)
    return graph.neighbor_graph[0][:, 1 : N_NEIGHBOURS + 1]


WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exact": search_exactly,
    "faiss lists": search_lists,
    "faiss graph": search_graph,
    "pynndescent": search_descent,
}
# Preparing: what is compared, and the true neighbours.


def read_images(path: Path) -> StoredImages:
    """Returns the images of an uint8 file, mapped into memory."""
    return StoredImages(np.load(path, mmap_mode="r"))


def compute_coordinates(images: Path, out: Path) -> None:
    """Writes the coordinates of the deskewed images along their principal components."""
    np.save(out, principal_components(read_images(images), deskew))


def find_true_neighbours(images: Path, queries: np.ndarray) -> np.ndarray:
    """Returns the nearest of all deskewed images to each query, exactly: [n_queries, 5]."""
    stored = read_images(images)
    asked = deskew(stored[queries]).astype(np.float64)
    best = np.full([len(queries), N_NEIGHBOURS], np.inf)
    rows = np.zeros(best.shape, int)
    for start in range(0, len(stored), BLOCK_SIZE):
        block = deskew(stored[start : start + BLOCK_SIZE]).astype(np.float64)
        distances = np.square(block).sum(axis=1) - 2 * asked @ block.T
        places = start + np.arange(len(block))
        distances[queries[:, None] == places] = np.inf  # an image is not its own neighbour
        distances = np.concatenate([best, distances], axis=1)
        candidates = np.concatenate([rows, np.broadcast_to(places, [len(queries), len(block)])], 1)
        nearest = np.argpartition(distances, N_NEIGHBOURS, axis=1)[:, :N_NEIGHBOURS]
        best = np.take_along_axis(distances, nearest, axis=1)
        rows = np.take_along_axis(candidates, nearest, axis=1)
    return rows


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Returns the share of the true neighbours that were found."""
    return float((found[:, :, None] == true[:, None, :]).any(axis=1).mean())


# Measuring.


def measure(way: str, points: Path, out: Path) -> None:
    """Runs a way in this process, writes the rows that it finds, and prints what it took."""
    start, start_cpu = time.perf_counter(), time.process_time()
    if way == "coordinates":
        compute_coordinates(points, out)
    else:
        np.save(out, WAYS[way](np.load(points)))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": int(kibibytes) * 1024}
    print(json.dumps(times))


def run_measure(way: str, points: Path, out: Path) -> dict[str, Any]:
    """Calls `measure` in a new process and returns what it prints."""
    command = [sys.executable, __file__, "--measure", way, str(points), str(out)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer.splitlines()[-1])


def compare(images: Path, plans: dict[str, list[str]]) -> dict[str, Any]:
    """Returns the record of a set: the cost of its coordinates, and each way's cost and recall.

    Args:
      images: file of uint8 images [n, 28, 28].
      plans: dict of what is searched, "images" or "coordinates", to the names of the ways.
    """
    folder = images.parent
    points = {name: folder / f"{images.stem}-{name}.npy" for name in ("images", "coordinates")}
    n_images = len(read_images(images))
    queries = np.random.default_rng(SEED).choice(n_images, N_QUERIES, replace=False)
    record: dict[str, Any] = {"n_images": n_images}
    record["coordinates"] = run_measure("coordinates", images, points["coordinates"])
    true = find_true_neighbours(images, queries)
    if plans.get("images"):
        np.save(points["images"], deskew(np.asarray(read_images(images))))
    record["ways"] = []
    for compared, ways in plans.items():
        for way in ways:
            found = folder / "found.npy"
            cost = run_measure(way, points[compared], found)
            share = recall(np.load(found)[queries], true)
            record["ways"].append({"way": way, "compared": compared, "recall": share, **cost})
            print(images.stem, json.dumps(record["ways"][-1]), flush=True)
    return record


def main() -> None:
    """Makes both sets, measures every way, and writes the records."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--data-dir", help="where MNIST's four files are; see `read_mnist`")
    parser.add_argument("--out", type=Path, default=Path("results/neighbours.json"))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        way, *paths = arguments.measure
        return measure(way, *map(Path, paths))
    # It loads TensorFlow, which is to take no memory in the processes that are measured.
    from moe_vae.bench.records import machine

    mnist = read_mnist(arguments.data_dir, data="mnist").train.images
    settings = {"n_neighbours": N_NEIGHBOURS, "n_queries": N_QUERIES, "seed": SEED}
    results = {"command": " ".join(["python", *sys.argv]), "settings": settings, **machine()}
    results["load"] = os.getloadavg()[0]
    results["versions"].update((name, version(name)) for name in COMPARED)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        np.save(folder / "mnist.npy", np.rint(mnist * 255).astype(np.uint8).reshape(-1, 28, 28))
        write_augmented(mnist, arguments.images, folder / "augmented.npy")
        plans = {
            "augmented": {"coordinates": ["faiss lists", "faiss graph", "pynndescent"]},
            "mnist": {"images": list(WAYS), "coordinates": list(WAYS)},
        }
        for name, plan in plans.items():
            results[name] = compare(folder / f"{name}.npy", plan)
            write_whole(arguments.out, (json.dumps(results, indent=1) + "\n").encode())
    print(f"The measurements are in {arguments.out}.")


if __name__ == "__main__":
    main()
