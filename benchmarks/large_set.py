"""Trains post 3's mixture on a million images and records the memory that it takes.

    MOE_VAE_DATA=... python benchmarks/large_set.py

It writes a `.npy` file of a million images of 28 x 28 pixels, MNIST's training images shifted by up
to two pixels, to a temporary directory, and runs `python -m moe_vae train` on it for one epoch.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from moe_vae.bench.records import machine
from moe_vae.data.mnist import read_mnist
from moe_vae.experiments.run_files import read_record, write_json

SEED = 0
BLOCK = 10_000  # images that are made at once
MODEL = "mixture-of-vaes"
REACH = 2  # pixels of the shift
PARTS = ("--validation", "0.005", "--test", "0.005")


def write_images(path: Path, n_images: int) -> None:
    """Writes shifted copies of MNIST's training images as uint8 [n_images, 28, 28]."""
    random = np.random.default_rng(SEED)
    images = np.rint(255 * read_mnist(data="mnist").train.images).astype(np.uint8)
    images = images.reshape(-1, 28, 28)
    written = open_memmap(path, "w+", np.uint8, (n_images, 28, 28))
    for start in range(0, n_images, BLOCK):
        rows = random.integers(0, len(images), min(BLOCK, n_images - start))
        down, right = random.integers(-REACH, REACH + 1, 2)
        written[start : start + len(rows)] = np.roll(images[rows], (down, right), (1, 2))
    written.flush()


def main() -> None:
    """Makes the set, trains, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("results", "large-set.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path, run = Path(directory, "images.npy"), Path(directory, "run")
        write_images(path, arguments.images)
        words = ["train", MODEL, "--data", "images.npy", "--epochs", "1", "--out", "run", *PARTS]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "moe_vae", *words], cwd=directory, check=True)
        seconds = time.perf_counter() - start
        record = read_record(run)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    write_json(
        arguments.out,
        {
            "command": "python benchmarks/large_set.py",
            "trained": f"python -m moe_vae {' '.join(words)}",
            "seed": record["seed"],
            "n_images": arguments.images,
            "seconds": seconds,
            "seconds_of_steps": record["seconds"],
            "peak_bytes": peak,
            **machine(),
        },
    )


if __name__ == "__main__":
    main()
