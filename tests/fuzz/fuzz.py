"""`make fuzz`: random bytes for the readers of files, by atheris, which follows the code.

Each reader gets the corpus of `tests/bad_files.py` and what is made of it. An execution fails if it
raises anything but the reader's own error, takes more than a second, or more than 200 MB beyond
what the process had.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = ("idx", "gzip", "manifest", "cluster", "record", "state", "model")
MEGABYTES = 200
SECONDS = 1


def fuzz_one(kind, corpus, n_runs):
    """Runs one reader until it fails, or the executions are over; ends the process."""
    import atheris

    sys.path.insert(0, str(ROOT / "tests"))
    with atheris.instrument_imports(include=["moe_vae.files", "moe_vae.schemas", "moe_vae.data"]):
        import bad_files
    import resource

    reader = bad_files.READERS[kind]
    # A file in memory, so that a million executions do not wear out a disk.
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    path = folder / reader.name

    def run(content):
        path.write_bytes(content)
        start = time.process_time()  # other programs may use the core
        with contextlib.suppress(reader.error):
            reader.read(path)
        seconds = time.process_time() - start
        if seconds > SECONDS:
            raise RuntimeError(f"took {seconds:.2f} s")

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    arguments = [
        f"-runs={n_runs}",
        "-max_len=4096",
        f"-rss_limit_mb={used + MEGABYTES}",
        "-timeout=30",
        "-verbosity=1",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


def record(kind, n_runs):
    """Runs one reader in a process of its own; returns what was seen."""
    with tempfile.TemporaryDirectory() as directory:
        corpus = Path(directory, kind)
        made = [sys.executable, str(ROOT / "tests/bad_files.py"), directory]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
        subprocess.run(made, env=environment, check=True)
        start = time.monotonic()
        command = [sys.executable, __file__, "--one", kind, str(corpus), "--runs", str(n_runs)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
    said = done.stdout + done.stderr
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    memory = re.search(r"stat::peak_rss_mb:\s*(\d+)", said)
    slowest = re.search(r"stat::slowest_unit_time_sec:\s*(\d+)", said)
    begin = re.search(r"INITED.*rss: (\d+)Mb", said)
    return {
        "reader": kind,
        "executions": int(executions[1]) if executions else 0,
        "seconds": round(seconds, 1),
        "peak_mb": int(memory[1]) if memory else None,
        "first_mb": int(begin[1]) if begin else None,
        "slowest_seconds": int(slowest[1]) if slowest else None,
        "fault": None if done.returncode == 0 else said.strip().splitlines()[-12:],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=ROOT / "results/fuzz.json")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--one", nargs=2, metavar=("KIND", "CORPUS"))
    arguments = parser.parse_args()
    if arguments.one:
        fuzz_one(*arguments.one, arguments.runs)
    results = []
    for kind in arguments.kinds:
        results.append(record(kind, arguments.runs))
        print(json.dumps(results[-1]), flush=True)
        content = {
            "format_version": 1,
            "command": f"python tests/fuzz/fuzz.py --runs {arguments.runs}",
            "limits": {"seconds": SECONDS, "megabytes": MEGABYTES},
            "readers": results,
        }
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(each["fault"] for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
