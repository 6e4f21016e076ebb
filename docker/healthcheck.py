"""Health check: whether the container does what it is there for.

JupyterLab is to answer. A command is to compute: since the last check, its processes must have used
at least 1 % of a core. One that waits, for a download, a lock or another task of its cluster, does
not. A task of a cluster must also reach the tasks that it cannot do without: a worker every
parameter server, a parameter server any worker.
"""

import json
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path

URL = "http://127.0.0.1:8888/api"  # returns the server's version and needs no token
LEAST_SHARE = 0.01  # of one core
SECONDS = 2.0  # to connect to another task
TICKS = os.sysconf("SC_CLK_TCK")  # of processor time in a second
NEEDED = {"worker": ("ps", all), "ps": ("worker", any)}

# The positions of the time in user and in system mode in /proc/NUMBER/stat, after the name.
TIMES = slice(11, 13)


def temporary(name: str) -> Path:
    """Returns the path of a file that the entry point or an earlier check has left."""
    return Path(os.environ.get("TMPDIR", "/tmp"), name)


def processor_seconds(processes: Path = Path("/proc")) -> dict[str, float]:
    """Returns the processor time that each process but this one has used, in seconds."""
    used = {}
    for path in processes.glob("[0-9]*"):
        if path.name == str(os.getpid()):
            continue
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # ended since it was listed
            continue
        used[path.name] = sum(map(int, fields[TIMES])) / TICKS
    return used


def share_of_core(state: Path, now: float, used: dict[str, float]) -> float | None:
    """Returns the share of a core that was used since the last check; None at the first one.

    Args:
      state: the file in which a check leaves its readings to the next one.
      now: seconds of a clock that only goes forward.
      used: what `processor_seconds` returns.
    """
    before = json.loads(state.read_text()) if state.exists() else None
    written = state.with_suffix(".new")
    written.write_text(json.dumps({"now": now, "used": used}))
    written.replace(state)
    if before is None:
        return None
    spent = sum(seconds - before["used"].get(number, 0.0) for number, seconds in used.items())
    return spent / (now - before["now"])


def task_of(processes: Path = Path("/proc")) -> tuple[Path, str] | None:
    """Returns the cluster file and the job of the task that runs here; None if there is none."""
    for path in processes.glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "moe_vae" in words and "--cluster" in words and "--job" in words:
                file = words[words.index("--cluster") + 1]
                return (path / "cwd").readlink() / file, words[words.index("--job") + 1]
        except (FileNotFoundError, ProcessLookupError):  # ended since it was listed
            continue
    return None


def answers(address: str) -> bool:
    """Returns whether something listens on an address, "host:port"."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), SECONDS).close()
    except OSError:
        return False
    return True


def missing_tasks(cluster: Path, job: str) -> str | None:
    """Returns which tasks a task lacks, in words; None if it has those that it needs."""
    other, enough = NEEDED[job]
    addresses = json.loads(cluster.read_text())[other]
    reached = [answers(address) for address in addresses]
    if enough(reached):
        return None
    gone = (a for a, is_reached in zip(addresses, reached, strict=True) if not is_reached)
    return f"the {job} does not reach {', '.join(gone)}"


def main() -> int:
    """Returns the exit code: 0 if JupyterLab answers, or if the command computes.

    Raises:
      OSError: JupyterLab cannot be reached.
    """
    if temporary("moe_vae_lab").exists():
        with urllib.request.urlopen(URL, timeout=8) as answer:
            return 0 if answer.status == 200 else 1
    share = share_of_core(temporary("moe_vae_health"), time.monotonic(), processor_seconds())
    if share is not None and share < LEAST_SHARE:
        print(f"the command does not compute: {share:.1%} of a core since the last check")
        return 1
    task = task_of()
    if task is not None and (lack := missing_tasks(*task)):
        print(lack)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
