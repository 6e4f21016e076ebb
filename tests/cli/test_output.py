"""What commands print, and where; and how a signal ends them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from moe_vae.cli.main import main
from moe_vae.messages import NORMAL, is_shown

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SMALL = ["--set", "encoder_layers=[8]", "--set", "decoder_layers=[8]", "--set", "z_dim=2"]
MIXTURE = ["train", "mixture-of-vaes", "--data", "spiral", "--experts", "2", *SMALL]
MAX_SECONDS = 2.0  # from SIGTERM to the end


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "mixture"
    main([*MIXTURE, "--epochs", "1", "--out", str(directory)])
    return directory


def test_train_ends_with_ten_lines_and_no_table(capfd):
    main([*MIXTURE, "--epochs", "1", "--out", "run"])
    output, error = capfd.readouterr()
    assert 3 <= len(output.splitlines()) <= 10
    assert re.match(r"mixture-of-vaes on spiral: 1 epochs in \d+\.\d s\n  accuracy +0\.\d+", output)
    assert output.splitlines()[-1].endswith("are in run/.")
    assert re.match(
        r"The engine is plain: .+\.\nTraining mixture-of-vaes on spiral\.\n1/1 epochs, ", error
    )


def test_standard_output_is_json_where_it_is_asked_for(trained, capfd):
    main([*MIXTURE, "--epochs", "1", "--out", "run", "--json"])
    scores = json.loads(capfd.readouterr().out)
    assert scores == json.loads(Path("run/metrics.json").read_text())["test"]
    shutil.copytree(trained, "other")
    main(["evaluate", "--run", "other"])
    evaluation = json.loads(capfd.readouterr().out)
    assert evaluation == json.loads(Path("other/evaluation.json").read_text())


def test_quiet_says_nothing_and_verbose_says_more(capfd):
    main([*MIXTURE, "--epochs", "1", "--out", "quiet", "-q"])
    assert capfd.readouterr().err == ""
    assert is_shown(NORMAL)  # for whoever calls it next
    main([*MIXTURE, "--epochs", "1", "--out", "verbose", "--verbose"])
    assert "The parameters are {" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main([*MIXTURE, "--epochs", "1", "--out", "verbose", "-v"])
    assert "Traceback" in capfd.readouterr().err


def test_a_mixture_begins_with_another(trained, capfd):
    main([*MIXTURE[:4], "--from", str(trained), "--epochs", "1", "--out", "run", "--json"])
    record = json.loads(Path("run/metrics.json").read_text())
    before = json.loads((trained / "metrics.json").read_text())
    assert record["params"]["n_experts"] == 2
    assert record["params"]["encoder_layers"] == [8]
    # It goes on where the other ended.
    name = "expected_expert_loss"
    assert record["history"][name][0] < before["history"][name][0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(capfd, shell):
    main(["completion", shell])
    script = capfd.readouterr().out
    assert "moe-vae" in script
    for word in ("mixture-of-vaes", "checkpoint-every", "evaluate"):
        assert word in script


def test_bash_reads_its_script(capfd):
    main(["completion", "bash"])
    script = capfd.readouterr().out
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Signals.


def start(*words):
    """Starts a training of many epochs, and waits for its second epoch."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moe_vae", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("2/"):
            return process
    raise AssertionError(f"it ended with {process.wait()}")


def ended(process, number):
    """Sends a signal; returns the seconds until the end, and the last line of standard error."""
    begin = time.monotonic()
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    return time.monotonic() - begin, error.splitlines()[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_training_after_it_is_saved(number, code):
    process = start(*MIXTURE, "--epochs", "10000", "--out", "run")
    seconds, line = ended(process, number)
    assert process.returncode == code
    assert re.search(r"interrupted after \d+ epochs: what was learned is in run/", line)
    if number == signal.SIGTERM:
        assert seconds < MAX_SECONDS
    record = json.loads(Path("run/metrics.json").read_text())
    assert record["interrupted"] is True
    assert len(record["seconds"]) >= 2
    assert Path("run/model.ckpt.index").exists()
    n_epochs = len(record["seconds"])
    main([*MIXTURE, "--epochs", str(n_epochs), "--out", "run", "--resume", "-q"])
    resumed = json.loads(Path("run/metrics.json").read_text())
    assert resumed["interrupted"] is False
    assert len(resumed["seconds"]) == n_epochs
    assert resumed["test"]["accuracy"] > 0


def test_sigterm_before_the_first_epoch_ends_with_its_code():
    process = subprocess.Popen(
        [sys.executable, "-m", "moe_vae", *MIXTURE, "--epochs", "10000", "--out", "run"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().startswith("The engine is ")
    assert process.stderr.readline().startswith("Training ")
    seconds, line = ended(process, signal.SIGTERM)
    assert process.returncode == 143
    assert "interrupted" in line
    assert seconds < MAX_SECONDS
