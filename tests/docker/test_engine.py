"""Checks a built cpu image with a Docker engine; docker/check_with_docker.sh runs these tests.

The commands of the documentation are run as they stand there, under a project of their own, so that
no container or volume of the machine's user is touched.
"""

import datetime
import importlib.util
import itertools
import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from moe_vae.compat import tf

IMAGE = os.environ.get("MOE_VAE_IMAGE")
COMPOSE = shlex.split(os.environ.get("MOE_VAE_COMPOSE", "docker compose"))
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        IMAGE is None, reason="needs a Docker engine and an image: docker/check_with_docker.sh"
    ),
]

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PATIENCE = 600  # seconds that anything here may take, on a machine that has other work too
LARGEST = 2.2e9  # bytes of the cpu image
STOP_SECONDS = 2.0  # for a container that is stopped to end
CALLER = "4321:4321"  # a user that neither the image nor, most likely, this machine has
PROJECT = "moe_vae_check"
VERBS = ("up", "stop", "logs", "down")
TERMINATED, FAILED, KILLED = 143, 2, 9
# How the documentation says to keep a container from all that it does not need.
LOCKED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
TRAIN = ["train", "mixture-of-vaes", "--data", "sample", "--out", "runs/run"]
SIGNAL = """
import glob, os, sys
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if b"\\0-m\\0moe_vae\\0" in open(path, "rb").read():
        os.kill(int(path.split("/")[2]), int(sys.argv[1]))
"""

numbers = itertools.count()


def run(*words, env=None, code=0):
    """Runs a command that must end with an exit code; returns its output."""
    result = subprocess.run(
        [os.fspath(word) for word in words],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert result.returncode == code, f"{words}: {result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def inspect(name, field):
    return json.loads(run("docker", "inspect", "--format", f"{{{{json {field}}}}}", name))


def wait_until(is_so, what, name=None):
    """Waits until something is so, as long as the named container runs."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not in {PATIENCE} s"
        if name is not None and not inspect(name, ".State.Running") and not is_so():
            pytest.fail(f"{what}: the container has ended\n{run('docker', 'logs', name)}")
        time.sleep(0.2)


def health(name):
    return inspect(name, ".State.Health.Status")


@pytest.fixture
def start():
    """Function that starts a container in the background; all are deleted in the end."""
    started = []

    def begin(*words):
        name = f"{PROJECT}_{os.getpid()}_{next(numbers)}"
        started.append(name)
        options = ["--health-interval=2s", "--health-start-period=0s", "--health-timeout=30s"]
        run("docker", "run", "--detach", "--name", name, *options, *words)
        return name

    yield begin
    for name in started:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


@pytest.fixture
def runs(tmp_path):
    """A folder that only the caller may write to, and the options that mount it."""
    folder = tmp_path / "runs"
    folder.mkdir()
    os.chown(folder, *map(int, CALLER.split(":")))
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    return folder, ["--user", CALLER, "--volume", f"{folder}:/workspace/runs"]


def send(name, signal):
    """Sends a signal to the command that a container runs."""
    run("docker", "exec", name, "python", "-c", SIGNAL, str(signal))


# --- The image ---


def test_image_is_small_and_says_what_it_is():
    assert inspect(IMAGE, ".Size") <= LARGEST
    labels = inspect(IMAGE, ".Config.Labels")
    head = run("git", "rev-parse", "HEAD").strip()
    assert labels["org.opencontainers.image.revision"] == head
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["org.opencontainers.image.base.digest"])


def test_image_lists_its_packages_and_has_none_for_developers():
    text = run("docker", "run", "--rm", "--entrypoint", "cat", IMAGE, "/opt/venv/sbom.cdx.json")
    content = json.loads(text)
    assert content["bomFormat"] == "CycloneDX"
    versions = {part["name"]: part["version"] for part in content["components"]}
    locked = re.findall(
        r"^([a-z0-9.-]+)==(\S+)", (DOCKER / "lock-cpu.txt").read_text(), re.MULTILINE
    )
    assert {re.sub(r"[-_.]+", "-", name).lower(): v for name, v in versions.items()} == dict(locked)
    for tool in ("gcc", "pytest", "ruff", "pip"):
        words = ["--entrypoint", "sh", IMAGE, "-c", f"command -v {tool}"]
        run("docker", "run", "--rm", *words, code=127)


def test_figures_belong_to_who_asked_for_them(tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    os.chown(folder, *map(int, CALLER.split(":")))
    words = [*LOCKED, "--user", CALLER, "--volume", f"{folder}:/workspace/figures", IMAGE]
    run("docker", "run", "--rm", *words, "figures", "--data", "sample", "--epochs", "1")
    files = list(folder.rglob("*"))
    assert any(file.suffix == ".png" for file in files)
    assert {file.stat().st_uid for file in files} == {int(CALLER.partition(":")[0])}


def test_training_of_the_readme(tmp_path):
    blocks = re.findall(r"^```\n(.*?)^```", (DOCKER / "README.md").read_text(), re.M | re.S)
    (block,) = [b for b in blocks if "moe_vae:cpu" in b and "train" in b]
    lines = [line for line in block.splitlines() if not line.startswith("docker build")]
    script = "\n".join(lines).replace("moe_vae:cpu", IMAGE)
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True, timeout=PATIENCE)
    record = json.loads((tmp_path / "runs" / "mixture" / "metrics.json").read_text())
    assert len(record["history"]["loss"]) == 5


# --- A training: it can be stopped, resumed and watched ---


def stop(name):
    """Stops a container; returns the seconds until its processes had ended.

    The engine itself takes up to a second more, in which it removes mounts and networks.
    """
    begin = datetime.datetime.now(datetime.UTC)
    run("docker", "stop", name)
    # Python reads microseconds, and the engine writes nanoseconds.
    finished = re.sub(r"(\.\d{6})\d*", r"\1", inspect(name, ".State.FinishedAt"))
    return (datetime.datetime.fromisoformat(finished) - begin).total_seconds()


def checkpoints(folder):
    return sorted((folder / "run" / "checkpoints").glob("epoch-??????"))


@pytest.mark.parametrize("seconds", [0, 2, 5, 10])
def test_stop_ends_a_training_that_has_just_begun(start, runs, seconds):
    name = start(*LOCKED, *runs[1], IMAGE, *TRAIN, "--epochs", "100000")
    time.sleep(seconds)
    assert stop(name) < STOP_SECONDS
    assert inspect(name, ".State.ExitCode") == TERMINATED


def test_stopped_training_resumes_to_the_same_weights(start, runs):
    folder, options = runs
    name = start(*LOCKED, *options, IMAGE, *TRAIN, "--epochs", "100000")
    wait_until(lambda: checkpoints(folder), "a checkpoint", name)
    assert stop(name) < STOP_SECONDS
    assert inspect(name, ".State.ExitCode") == TERMINATED
    assert "--resume continues" in run("docker", "logs", name)
    before = json.loads((folder / "run" / "metrics.json").read_text())["history"]["loss"]

    words = ["--epochs", str(len(before) + 1)]
    said = run("docker", "run", "--rm", *LOCKED, *options, IMAGE, *TRAIN, *words, "--resume")
    assert f"Going on after epoch {len(before)}." in said
    assert "The engine is fused: the run began with it." in said
    (folder / "run").rename(folder / "resumed")
    resumed = tf.train.load_checkpoint(os.fspath(folder / "resumed" / "model.ckpt"))
    run("docker", "run", "--rm", *LOCKED, *options, IMAGE, *TRAIN, *words, "--engine", "fused")
    whole = tf.train.load_checkpoint(os.fspath(folder / "run" / "model.ckpt"))
    names = whole.get_variable_to_shape_map()
    assert len(names) > 10
    for variable in names:
        np.testing.assert_array_equal(resumed.get_tensor(variable), whole.get_tensor(variable))


def test_training_is_healthy_while_it_trains(start, runs):
    name = start(*LOCKED, *runs[1], IMAGE, *TRAIN, "--epochs", "100000")
    wait_until(lambda: checkpoints(runs[0]), "a checkpoint", name)
    wait_until(lambda: health(name) == "healthy", "healthy", name)
    send(name, 19)  # SIGSTOP
    wait_until(lambda: health(name) == "unhealthy", "unhealthy", name)
    assert "the command does not compute" in inspect(name, ".State.Health.Log")[-1]["Output"]
    send(name, 18)  # SIGCONT
    wait_until(lambda: health(name) == "healthy", "healthy again", name)


def test_read_only_container_without_a_temporary_folder_says_what_it_needs():
    said = run("docker", "run", "--rm", "--read-only", IMAGE, "lab", code=FAILED)
    assert said.strip() == (
        "moe_vae: user 1000 cannot write to /tmp, which every program needs: "
        "with docker run --read-only, add --tmpfs /tmp"
    )


# --- JupyterLab ---


def check_lab():
    spec = importlib.util.spec_from_file_location("check_lab", DOCKER / "check_lab.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def token(tmp_path):
    """A token in a file that only the container's user can read."""
    file = tmp_path / "token"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o400)
    os.chown(file, 1000, 1000)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    return file


def test_lab_takes_its_token_from_a_file(start, token):
    mount = f"{token}:/run/token:ro"
    words = ["--volume", mount, "--env", "JUPYTER_TOKEN_FILE=/run/token"]
    name = start(*LOCKED, *words, "--publish", "127.0.0.1:8888:8888", IMAGE)
    wait_until(lambda: health(name) == "healthy", "JupyterLab", name)
    lab, secret = check_lab(), token.read_text().strip()
    lab.check(secret)
    assert secret not in run("docker", "inspect", name) + run("docker", "logs", name)
    # The manager of extensions asks no index: it lists what is installed.
    status, body, _ = lab.get("/lab/api/extensions?query=a&page=1&per_page=30", secret)
    assert status == 200
    assert all(extension["installed"] for extension in json.loads(body))
    run("docker", "exec", name, "sh", "-c", "touch /tmp/home/x && ! touch /opt/x 2> /dev/null")
    stop(name)
    assert inspect(name, ".State.ExitCode") in (0, TERMINATED)


# --- Compose ---


@pytest.fixture
def compose():
    """Function that runs Compose's words under the tests' project, which is deleted in the end."""
    used = []

    def words(*given, env=None, code=0):
        files = list(
            itertools.takewhile(lambda word: word not in ("up", "stop", "logs", "down"), given)
        )
        used.append((files, env))
        return run(*COMPOSE, "--project-name", PROJECT, *given, env=env, code=code)

    yield words
    for files, env in used:
        run(*COMPOSE, "--project-name", PROJECT, *files, "down", "--volumes", "-t", "1", env=env)


def containers():
    names = run("docker", "ps", "--all", "--format", "{{.Names}}").split()
    return [name for name in names if PROJECT in name]


def documented(word):
    """The commands of docker/README.md for the cpu profile that have a word of Compose's."""
    text = (DOCKER / "README.md").read_text()
    commands = re.findall(r"docker compose (-f docker/compose.yaml --profile cpu [^`\n]*)", text)
    return [shlex.split(command) for command in commands if word in command.split()]


def test_commands_of_the_readme_reach_the_cpu_profile(compose, token):
    files = ["-f", "docker/compose.yaml", "-f", "docker/compose.token.yaml"]
    env = {"JUPYTER_TOKEN_FILE": str(token)}
    compose(*files, "--profile", "cpu", "up", "--detach", "--no-build", env=env)
    (name,) = containers()
    wait_until(
        lambda: "http://127.0.0.1:8888/lab/tree" in run("docker", "logs", name), "address", name
    )
    assert token.read_text().strip() not in run("docker", "inspect", name)
    for words in documented("logs"):
        assert "http://127.0.0.1:8888/lab/tree" in compose(*words)
    assert documented("logs")
    (words, *_) = documented("down")
    compose(*words)
    assert containers() == []


@pytest.fixture
def cluster(tmp_path):
    """Function that returns Compose's files of a cluster that trains for a number of epochs."""

    def files(n_epochs):
        services = yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())["services"]
        watch = {"interval": "2s", "timeout": "30s", "start_period": "0s"}
        commands = {
            name: {
                "command": [*service["command"], "--epochs", str(n_epochs)],
                "healthcheck": watch,
            }
            for name, service in services.items()
        }
        override = tmp_path / "override.yaml"
        volumes = {"data": {"name": f"{PROJECT}_data"}}
        override.write_text(yaml.safe_dump({"services": commands, "volumes": volumes}))
        return ["-f", "docker/compose.cluster.yaml", "-f", os.fspath(override)]

    return files


def states():
    """Of every task's container: whether it runs, its exit code, how often it began again."""
    found = {}
    for name in containers():
        state = inspect(name, ".State")
        task = re.search(r"(ps|worker-\d)", name)[1]
        found[task] = (state["Running"], state["ExitCode"], inspect(name, ".RestartCount"), name)
    return found


def last_epoch(name):
    """The number of the last checkpoint that a cluster's container sees; 0 if there is none."""
    code = "import pathlib; print(*pathlib.Path('runs/cluster/checkpoints').glob('epoch-??????'))"
    result = subprocess.run(
        ["docker", "exec", name, "python", "-c", code], capture_output=True, text=True
    )
    return max(map(int, re.findall(r"epoch-(\d+)", result.stdout)), default=0)


def test_cluster_survives_a_killed_worker_and_a_killed_parameter_server(compose, cluster):
    n_epochs = 40
    compose(*cluster(n_epochs), "up", "--detach", "--no-build")
    names = {task: state[3] for task, state in states().items()}
    assert names.keys() == {"ps", "worker-0", "worker-1"}
    wait_until(lambda: last_epoch(names["worker-0"]) >= 1, "an epoch")
    wait_until(lambda: {health(name) for name in names.values()} == {"healthy"}, "healthy")
    send(names["worker-1"], KILLED)
    wait_until(lambda: states()["worker-1"][2] == 1, "the worker's second start")
    reached = last_epoch(names["worker-0"])
    wait_until(lambda: last_epoch(names["worker-0"]) > reached, "another epoch")
    assert last_epoch(names["worker-0"]) < n_epochs, (
        "it was over before the parameter server was killed"
    )
    send(names["ps"], KILLED)
    wait_until(lambda: not any(state[0] for state in states().values()), "the end")
    assert {task: state[1] for task, state in states().items()} == dict.fromkeys(names, 0)
    assert states()["ps"][2] == 1
    assert "Going on after epoch" in run("docker", "logs", names["worker-0"])


def test_cluster_whose_workers_fail_ends(compose, cluster):
    env = {"MOE_VAE_CLUSTER_DATA": "mnist", "MOE_VAE_CLUSTER_WAIT": "10"}
    result = subprocess.run(
        [*COMPOSE, "--project-name", PROJECT, *cluster(1), "up", "--no-build"],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    ended = states()
    compose(*cluster(1), "down", env=env)
    assert "none of the 2 workers has been reached for 10 s" in result.stdout
    assert {task: state[:3] for task, state in ended.items()} == {
        "ps": (False, FAILED, 2),
        "worker-0": (False, FAILED, 2),
        "worker-1": (False, FAILED, 2),
    }


def test_stopped_cluster_ends_at_once(compose, cluster):
    compose(*cluster(100_000), "up", "--detach", "--no-build")
    names = {task: state[3] for task, state in states().items()}
    wait_until(lambda: last_epoch(names["worker-0"]) >= 1, "an epoch")
    compose(*cluster(100_000), "stop")
    ended = states()
    assert not any(state[0] for state in ended.values())
    assert ended["worker-0"][1] == TERMINATED
    assert {state[1] for state in ended.values()} <= {0, TERMINATED}
