"""`doctor`: checks the installation, and names the cure of each fault."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from moe_vae import __version__
from moe_vae.cli import options
from moe_vae.diagnosis.data import check_data
from moe_vae.diagnosis.findings import Finding
from moe_vae.diagnosis.machine import check_machine
from moe_vae.diagnosis.packages import check_packages, check_python
from moe_vae.diagnosis.tensorflow import check_tensorflow

__all__ = ["add_command", "report", "run"]

INDENT = 26


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands, "doctor", run, "check the installation, and name the cure of each fault"
    )
    command.add_argument("--json", action="store_true", help="print JSON, for a bug report")


def run(arguments: argparse.Namespace) -> None:
    """Checks everything and prints what was found; the exit code is 1 if there is a fault.

    Raises:
      SystemExit: there is a fault.
    """
    findings = [
        *check_python(),
        *check_packages(),
        *check_tensorflow(),
        *check_data(),
        *check_machine(Path()),
    ]
    n_faults = sum(1 for finding in findings if finding.fault)
    if arguments.json:
        records = [finding._asdict() for finding in findings]
        content = {"version": __version__, "faults": n_faults, "findings": records}
        print(json.dumps(content, indent=1))
    else:
        print("\n".join(report(findings)))
    if n_faults:
        raise SystemExit(1)


def report(findings: Sequence[Finding]) -> list[str]:
    """Returns the lines: what was found, then the faults, each with its cure."""
    faults = [finding for finding in findings if finding.fault]
    lines = [f"{finding.name:<{INDENT}}{finding.value}" for finding in findings]
    lines.append("")
    for finding in faults:
        lines += [f"Fault: {finding.fault}.", f"Cure:  {finding.cure}"]
    count = {0: "No fault was found.", 1: "1 fault was found."}
    return [*lines, count.get(len(faults), f"{len(faults)} faults were found.")]
