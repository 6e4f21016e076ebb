"""Checks the container's files without a build; test_engine.py checks a built image."""

import ctypes
import http.server
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
import tomllib
from pathlib import Path
from string import Template
from types import SimpleNamespace

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from numpy._core import _multiarray_umath
from packaging.requirements import Requirement

from moe_vae import __version__
from moe_vae.cli import main as command_line
from moe_vae.distributed.servers import read_cluster

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
TARGETS = ("cpu", "gpu")
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PINNED_BASE = re.compile(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}")
LABELS = (
    *("title", "description", "version", "licenses", "source", "revision"),
    *("base.name", "base.digest"),
)
SECRET = re.compile(r"TOKEN|PASSW|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE)
BUILD_TOOLS = re.compile(r"\b(apt-get|apt|gcc|g\+\+|make|curl|wget|sudo)\b")


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCKER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- The Dockerfile ---


def stages(text):
    """Name to (parent, instructions), in the file's order; what stands before is under ""."""
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    found = {"": (None, [])}
    for part in parser.structure:
        if part["instruction"] == "COMMENT":
            continue
        if part["instruction"] == "FROM":
            parent, *alias = re.split(r"\s+AS\s+", part["value"], flags=re.IGNORECASE)
            name = alias[0] if alias else parent
            found[name] = (parent, [])
        else:
            found[name if len(found) > 1 else ""][1].append((part["instruction"], part["value"]))
    return found


def whole(found, name):
    """A stage's instructions after those that it inherits from the stages it is made from."""
    if name not in found:
        return []
    parent, own = found[name]
    return whole(found, parent) + own


def last(wanted, steps):
    values = [value for instruction, value in steps if instruction == wanted]
    return values[-1] if values else None


def problems(text):
    """What is wrong with a Dockerfile, rule by rule."""
    found = stages(text)
    wrong = []
    arguments = [value for instruction, value in found[""][1] if instruction == "ARG"]
    given = dict(a.split("=", 1) for a in arguments if "=" in a)
    base = Template(given.get("BASE", "")).safe_substitute(given)
    if not PINNED_BASE.fullmatch(base):
        wrong.append(f"BASE is {base!r}, no exact patch version with its digest")
    wrong += [
        f"stage {name} is from {parent}, which is neither BASE nor a stage"
        for name, (parent, _) in found.items()
        if name and parent != "${BASE}" and parent not in found
    ]
    if "latest" in re.sub(r"#.*", "", text):
        wrong.append("`latest` is no version")
    if list(found)[-1] != "gpu" or "cpu" not in found:
        wrong.append("the targets are cpu and, last and so the default, gpu")
    for name, (_, steps) in found.items():
        wrong += [f"{name}: {problem}" for problem in stage_problems(steps)]
    for target in set(TARGETS) & set(found):
        wrong += [f"{target}: {problem}" for problem in target_problems(found, target)]
        wrong += [
            f"{target}: a builder without BuildKit installs the packages of {name} for nothing"
            for name in list(found)[: list(found).index(target)]
            if name not in needed(found, target)
            and any(i == "RUN" and "install.sh" in value for i, value in found[name][1])
        ]
    return wrong


def needed(found, name):
    """The stages that a stage is made from, directly or not, and itself."""
    if name not in found:
        return set()
    parent, own = found[name]
    sources = [
        value.split()[0].removeprefix("--from=")
        for instruction, value in own
        if instruction == "COPY" and value.startswith("--from=")
    ]
    return {name}.union(*(needed(found, source) for source in [parent, *sources]))


def stage_problems(steps):
    for instruction, value in steps:
        if instruction == "ADD":
            yield "ADD fetches and unpacks; COPY does neither"
        if instruction in ("ARG", "ENV", "LABEL") and SECRET.search(value):
            yield f"a secret in {instruction}"
        if instruction == "COPY" and (".env" in value or value.startswith(". ")):
            yield f"COPY {value} may take secrets and data along"
        if instruction == "RUN" and BUILD_TOOLS.search(value):
            yield f"build tools or downloads in RUN {value}"
        if instruction == "RUN" and "pip install" in value:
            yield "packages are installed by install.sh alone, from a lock file"


def target_problems(found, target):
    steps = whole(found, target)
    if (last("USER", steps) or "root").split(":")[0] in ("root", "0"):
        yield "runs as root"
    if not last("HEALTHCHECK", steps):
        yield "no HEALTHCHECK"
    labels = " ".join(value for instruction, value in steps if instruction == "LABEL")
    for label in LABELS:
        if f"org.opencontainers.image.{label}=" not in labels:
            yield f"no label {label}"
    if "dumb-init" not in (last("ENTRYPOINT", steps) or ""):
        yield "the first process does not pass signals on"
    for form in ("ENTRYPOINT", "CMD"):
        if not (last(form, steps) or "").startswith("["):
            yield f"{form} is not in the form that starts without a shell"
    expects = f"MOE_VAE_EXPECT_GPU={int(target == 'gpu')}"
    if not any(i == "ENV" and expects in value for i, value in steps):
        yield f"{expects} is not set"
    copied = [value.split()[0] for i, value in steps if i == "COPY"]
    packages = f"--from=packages-{target}"
    if packages not in copied or "--from=code" not in copied:
        yield "packages or code are missing"
    elif copied.index("--from=code") < len(copied) - copied[::-1].index(packages):
        yield "the code comes before the packages, which then change with it"
    scripts = {"docker/install.sh", "docker/strip_symbols.py"}
    allowed = scripts | {f"docker/lock-{name}.txt" for name in ("build", "cpu", target)}
    for value in (v for i, v in whole(found, f"packages-{target}") if i == "COPY"):
        for source in set(value.split()[:-1]) - allowed:
            yield f"a change of {source} installs all packages again"


def test_dockerfile_follows_the_rules():
    assert problems(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (r"python:3.11.\d+-slim", "python:3.11-slim", "no exact patch"),
        (r"BASE=\S+", "BASE=python:3.11.15-slim-bookworm", "with its digest"),
        (r"python:3.11.\S+", "python:latest", "`latest`"),
        (r"FROM runtime AS cpu", "FROM debian:12 AS cpu", "neither BASE nor a stage"),
        (r"USER 1000:1000", "USER root", "gpu: runs as root"),
        (r"USER 1000:1000", "", "cpu: runs as root"),
        (r"AS gpu\nENV", "AS gpu\nUSER 0\nENV", "gpu: runs as root"),
        (r"EXPOSE 8888", "ENV JUPYTER_TOKEN=moe", "a secret in ENV"),
        (r"EXPOSE 8888", "COPY . /workspace", "may take secrets and data along"),
        (r"EXPOSE 8888", "RUN apt-get update && apt-get install -y gcc", "build tools"),
        (r"EXPOSE 8888", "RUN pip install tensorflow", "from a lock file"),
        (r"EXPOSE 8888", "ADD docker /opt/docker", "ADD"),
        (r"HEALTHCHECK", "# HEALTHCHECK", "no HEALTHCHECK"),
        (r"ENTRYPOINT \[(.*)\]", r"ENTRYPOINT \1", "without a shell"),
        (r"MOE_VAE_EXPECT_GPU=1", "MOE_VAE_EXPECT_GPU=0", "EXPECT_GPU=1 is not set"),
        (r"(COPY docker/install.sh .*)", r"\1\nCOPY moe_vae /opt", "installs all packages again"),
        (r"(USER 1000)", r"COPY --from=code /a /a\n\1", "gpu: the code comes before the packages"),
        (r"FROM runtime AS gpu", "FROM runtime AS other", "the targets are"),
        (r"image.licenses", "image.terms", "cpu: no label licenses"),
        (r"(AS gpu\n(.*\n)+)LABEL .*source", r"\1LABEL x", "gpu: no label source"),
        (r'"/opt/venv/bin/dumb-init", "--", ', "", "does not pass signals on"),
        (
            r"FROM runtime AS cpu",
            "FROM installer AS packages-gpu\nRUN sh /opt/install.sh\nFROM runtime AS cpu",
            "cpu: a builder without BuildKit installs the packages of packages-gpu for nothing",
        ),
    ],
)
def test_rule_finds_what_it_is_for(old, new, problem):
    broken, count = re.subn(old, new, DOCKERFILE)
    assert count
    assert any(problem in found for found in problems(broken)), problems(broken)


def test_labels_tell_the_packages_version():
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE


def test_packages_come_as_wheels_with_the_locks_hashes():
    install = (DOCKER / "install.sh").read_text()
    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install


# --- What is sent to the build ---


def test_only_what_the_image_needs_is_sent_to_the_build():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert allowed == {"moe_vae", "notebooks", "docker"}
    assert {"**/__pycache__", "**/.env"} <= set(rules[1 + len(allowed) :])


def test_everything_that_is_copied_is_there_and_is_sent_to_the_build():
    allowed = ("moe_vae", "notebooks", "docker/")
    sources = [
        source
        for _, steps in stages(DOCKERFILE).values()
        for instruction, value in steps
        if instruction == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    ]
    assert len(sources) > len(allowed)
    for source in sources:
        assert source.startswith(allowed), source
        assert (ROOT / source).exists(), source


# --- The lock files ---


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned():
    """requirements.txt: name to version."""
    text = (ROOT / "requirements.txt").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonical(name): version for name, version in (line.split("==") for line in lines)}


def extras_of(lock):
    """The extras of pyproject.toml that lock.sh names for a lock file, after pyproject.toml."""
    text = (DOCKER / "lock.sh").read_text()
    command = re.search(rf"^lock\w* docker/lock-{lock}\.txt ((?:.*\\\n)*.*)", text, re.MULTILINE)
    return re.findall(r"--extra (\w+)", command[1])


def required(lock):
    """The pins of what a lock file is there for: the package's needs with its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"]]
    for extra in extras_of(lock):
        needs += project["optional-dependencies"][extra]
    names = {canonical(Requirement(need).name) for need in needs} - {"tensorflow"}  # see below
    return {name: version for name, version in pinned().items() if name in names}


def locked(text):
    """A lock file: name to (version, hashes, whether the package itself asks for it)."""
    entries = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*\n(?:[ \t].*\n)*)", text, re.MULTILINE)
    return {
        canonical(name): SimpleNamespace(
            version=version,
            hashes=re.findall(r"--hash=sha256:([0-9a-f]{64})\b", rest),
            direct="(pyproject.toml)" in rest,
        )
        for name, version, rest in entries
    }


def disagreements(lock, requirements):
    direct = {name: entry.version for name, entry in lock.items() if entry.direct}
    return sorted(direct.items() ^ requirements.items())


NAMES = ("cpu", "gpu", "test", "build")
LOCKS = {name: (DOCKER / f"lock-{name}.txt").read_text() for name in NAMES}
DEVELOPMENT = {"ruff", "mypy", "import-linter", "uv", "mkdocs-material", "mkdocstrings"}


def test_lock_agrees_with_the_requirements():
    assert disagreements(locked(LOCKS["cpu"]), required("cpu")) == [], "run `make lock`"


def test_packages_of_the_tests_are_pinned_beside_those_of_the_image():
    cpu, test = locked(LOCKS["cpu"]), locked(LOCKS["test"])
    assert not cpu.keys() & test.keys()
    both = {name: entry.version for name, entry in {**cpu, **test}.items()}
    assert required("test").items() <= both.items(), "run `make lock`"


@pytest.mark.parametrize("change", [{"tqdm": "1.0"}, {"requests": "2.0"}, {"tqdm": None}])
def test_disagreement_with_the_requirements_is_found(change):
    changed = {name: v for name, v in {**required("cpu"), **change}.items() if v}
    assert disagreements(locked(LOCKS["cpu"]), changed)


@pytest.mark.parametrize("name", TARGETS)
def test_no_image_has_what_only_a_developer_needs(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tests = {canonical(Requirement(n).name) for n in project["optional-dependencies"]["test"]}
    assert {"pytest", "selenium", "hypothesis"} <= tests
    # TensorFlow needs setuptools, and JupyterLab PyYAML.
    assert locked(LOCKS[name]).keys().isdisjoint(DEVELOPMENT | tests - {"setuptools", "pyyaml"})


@pytest.mark.parametrize(("name", "least"), [("cpu", 100), ("gpu", 10), ("test", 5), ("build", 5)])
def test_every_locked_package_has_its_version_and_hashes(name, least):
    lines = [line for line in LOCKS[name].splitlines() if re.match(r"[^\s#]", line)]
    lock = locked(LOCKS[name])
    assert len(lines) == len(lock) > least
    assert all(line.endswith(" \\") for line in lines)
    assert all(entry.hashes for entry in lock.values())


@pytest.mark.parametrize("name", NAMES)
def test_lock_names_no_server_and_no_path(name):
    assert not re.search(r"://|--(extra-)?index-url|--find-links|\s/\w", LOCKS[name])


def test_both_images_have_tensorflow_in_the_version_of_the_requirements():
    assert "tensorflow" not in locked(LOCKS["cpu"])
    assert locked(LOCKS["cpu"])["tensorflow-cpu"].version == pinned()["tensorflow"], "see cpu.in"
    assert locked(LOCKS["gpu"])["tensorflow"].version == pinned()["tensorflow"]


def test_gpu_adds_tensorflow_and_nvidias_packages_alone():
    gpu = {name: entry.version for name, entry in locked(LOCKS["gpu"]).items()}
    del gpu["tensorflow"]
    assert all(re.fullmatch(r"nvidia-.*-cu12", name) for name in gpu)
    assert gpu["nvidia-cudnn-cu12"].startswith("9.")
    assert gpu["nvidia-cuda-runtime-cu12"].startswith("12.9.")
    assert script("load_nvidia").pinned(LOCKS["gpu"]) == gpu


def test_first_process_and_the_writer_of_the_list_of_packages_are_locked():
    assert "dumb-init" in locked(LOCKS["cpu"])
    assert "cyclonedx-bom" in locked(LOCKS["build"])


# --- Compose ---


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


@pytest.mark.parametrize("target", TARGETS)
def test_service_is_reached_from_this_computer_alone_and_only_with_a_token(compose, target):
    service = compose["services"][target]
    assert service["ports"] == ["127.0.0.1:8888:8888"]
    assert "JUPYTER_TOKEN" in service["environment"]
    assert not any("=" in name for name in service["environment"])  # handed on, given no value
    assert service["command"] == ["lab"]
    assert "network_mode" not in service


@pytest.mark.parametrize("target", TARGETS)
def test_service_keeps_what_is_made_in_it(compose, target):
    mounts = {mount["target"]: mount for mount in compose["services"][target]["volumes"]}
    assert set(mounts) == {"/workspace/notebooks", "/data", "/workspace/runs"}
    notebooks = mounts["/workspace/notebooks"]
    assert notebooks["type"] == "bind"
    assert (DOCKER / notebooks["source"]).resolve() == ROOT / "notebooks"
    named = {mounts[path]["source"] for path in ("/data", "/workspace/runs")}
    assert named == set(compose["volumes"])
    assert "MOE_VAE_DATA=/data" in DOCKERFILE


@pytest.mark.parametrize("target", TARGETS)
def test_service_is_its_profile_and_target(compose, target):
    service = compose["services"][target]
    assert service["profiles"] == [target]
    assert service["image"] == f"moe_vae:{target}"
    assert service["build"]["target"] == target
    assert (DOCKER / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).exists()
    assert service["user"].startswith("${MOE_VAE_UID:-1000}:")


def test_containers_can_write_and_use_no_more_than_they_need(compose, cluster_compose):
    services = {**compose["services"], **cluster_compose["services"]}
    assert len(services) == 5
    for service in services.values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert re.fullmatch(r"\$\{MOE_VAE_MEMORY:-\d+g\}", service["mem_limit"])
        assert 0 < service["pids_limit"] < 10_000
        assert service["cap_drop"] == ["ALL"]
        assert service["platform"] == "linux/amd64"
        assert "init" not in service, "the image has one"


def test_number_of_gpus_can_be_chosen(compose):
    (device,) = compose["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == "${MOE_VAE_GPUS:-all}"


def test_token_can_come_from_a_file_that_inspect_does_not_show(compose):
    token = yaml.safe_load((DOCKER / "compose.token.yaml").read_text())
    assert token["services"].keys() == compose["services"].keys()
    for service in token["services"].values():
        (secret,) = service["secrets"]
        assert service["environment"] == [f"JUPYTER_TOKEN_FILE=/run/secrets/{secret}"]
    assert token["secrets"][secret]["file"].startswith("${JUPYTER_TOKEN_FILE:?")


def test_gpu_is_reserved_in_its_own_profile_alone(compose):
    devices = compose["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [device["capabilities"] for device in devices] == [["gpu"]]
    assert "deploy" not in compose["services"]["cpu"]


def test_up_starts_the_gpu_profile_and_the_env_file_holds_nothing_else():
    lines = (DOCKER / ".env").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["COMPOSE_PROFILES=gpu"]


# --- Compose: a cluster ---


@pytest.fixture(scope="module")
def cluster_compose():
    return yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())


def option(command, name):
    return command[command.index(name) + 1]


def test_cluster_is_alone_on_a_network_that_leads_nowhere(cluster_compose):
    assert cluster_compose["networks"] == {"cluster": {"internal": True}}
    for service in cluster_compose["services"].values():
        assert service["networks"] == ["cluster"]
        assert not {"ports", "expose", "network_mode", "privileged"} & set(service)
        assert service["user"].startswith("${MOE_VAE_UID:-1000}:")
        assert "profiles" not in service


def test_tasks_that_fail_start_again_and_give_up_in_the_end(cluster_compose):
    for service in cluster_compose["services"].values():
        assert re.fullmatch(r"on-failure:[1-9]", service["restart"])
        wait = option(service["command"], "--wait")
        assert 10 <= int(re.fullmatch(r"\$\{MOE_VAE_CLUSTER_WAIT:-(\d+)\}", wait)[1]) <= 120


def test_services_of_the_cluster_are_the_tasks_of_its_file(cluster_compose):
    cluster = read_cluster(DOCKER / "cluster.json")
    tasks = {}
    for name, service in cluster_compose["services"].items():
        command = service["command"]
        job, task = option(command, "--job"), int(option(command, "--task"))
        assert cluster.address(job, task).partition(":")[0] == name
        tasks[job, task] = [word for word in command if word not in (job, str(task))]
    assert len(tasks) == len(cluster.ps) + len(cluster.worker) == 3
    assert len({tuple(words) for words in tasks.values()}) == 1, (
        "all say the same beside their task"
    )
    mounts = {mount["target"]: mount for mount in service["volumes"]}
    assert mounts["/workspace/cluster.json"]["source"] == option(command, "--cluster")
    assert option(command, "--out").startswith("runs/")
    assert "--resume" in command
    words = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in command]
    parsed = command_line.parser_of("moe_vae").parse_args(words)
    assert parsed.model == "mixture-of-vaes"


def test_cluster_uses_the_cpu_image_and_the_notebooks_data(cluster_compose, compose):
    for service in cluster_compose["services"].values():
        assert service["image"] == compose["services"]["cpu"]["image"]
        assert service["build"] == compose["services"]["cpu"]["build"]
    assert cluster_compose["volumes"]["data"]["name"] == f"{compose['name']}_data"


# --- The scripts ---


@pytest.mark.parametrize("path", sorted(DOCKER.glob("*.sh")), ids=lambda path: path.name)
def test_shell_script_can_be_read_by_its_shell(path):
    shell = re.search(r"^(?:#!.*\b|# shellcheck shell=)(bash|sh)\n", path.read_text(), re.M)[1]
    subprocess.run([shell, "-n", path], check=True)
    assert path.name in ("install.sh", "offline.sh") or os.access(path, os.X_OK)


@pytest.fixture
def entry(tmp_path):
    """Runs the entry point beside a `python` and a `jupyter` that only tell their arguments."""
    for name in ("python", "jupyter"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@"; echo "$JUPYTER_TOKEN"\n')
        path.chmod(0o755)

    def run(*words, **environ):
        search = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", DOCKER / "entrypoint.sh", *words],
            env={"PATH": search, "TMPDIR": str(tmp_path), "HOME": f"{tmp_path}/home", **environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    run.marker = tmp_path / "moe_vae_lab"
    run.directory = tmp_path
    return run


REPORT = f"python|{DOCKER}/report_devices.py|"


def test_command_is_one_of_the_command_line_after_the_devices(entry):
    result = entry("figures", "--out", "a b")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [REPORT, "python|-m|moe_vae|figures|--out|a b|"]
    assert not entry.marker.exists()


@pytest.mark.parametrize("words", [[], ["lab"]])
def test_lab_is_the_default_and_takes_the_token_from_the_variable(entry, words):
    result = entry(*words, JUPYTER_TOKEN="abc")
    assert result.returncode == 0
    assert result.stdout.splitlines() == [REPORT + "abc", "jupyter|lab|abc"]
    assert entry.marker.exists()


def test_lab_without_a_token_leaves_it_to_jupyterlab_to_make_one(entry):
    result = entry("lab", "--debug")
    assert result.stdout.splitlines() == [REPORT, "jupyter|lab|--debug|"]


@pytest.mark.parametrize("token", ["", " ", "\t\n"])
def test_empty_token_is_refused(entry, token):
    result = entry("lab", JUPYTER_TOKEN=token)
    assert (result.returncode, result.stdout) == (2, "")
    assert "JUPYTER_TOKEN is empty" in result.stderr
    assert not entry.marker.exists()


@pytest.mark.parametrize(
    "word",
    ["--IdentityProvider.token=", "--ServerApp.token=''", "--ServerApp.password=", "--port=9"],
)
def test_token_and_port_cannot_be_set_past_the_variable(entry, word):
    result = entry("lab", word, JUPYTER_TOKEN="abc")
    assert (result.returncode, result.stdout) == (2, "")
    assert word in result.stderr


def test_token_may_stand_in_a_file(entry):
    file = entry.directory / "token"
    file.write_text("abc\n")
    result = entry("lab", JUPYTER_TOKEN_FILE=str(file))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [REPORT, "jupyter|lab|"]
    assert "abc" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("content", "environ", "message"),
    [
        ("\n", {}, "the token's file, is empty"),
        (None, {}, "it must be a file in the container that user"),
        ("abc", {"JUPYTER_TOKEN": "abc"}, "are both set"),
    ],
)
def test_bad_token_file_is_refused_in_one_line(entry, content, environ, message):
    file = entry.directory / "token"
    if content is not None:
        file.write_text(content)
    result = entry("lab", JUPYTER_TOKEN_FILE=str(file), **environ)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert message in line
    assert not entry.marker.exists()


def test_token_of_a_file_is_taken_without_its_line_break(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("abc\n")
    monkeypatch.setenv("JUPYTER_TOKEN_FILE", str(tmp_path / "token"))
    assert lab_configuration().IdentityProvider.token == "abc"
    monkeypatch.delenv("JUPYTER_TOKEN_FILE")
    assert not vars(lab_configuration().IdentityProvider)


@pytest.mark.parametrize("words", [["lab"], ["figures"]])
def test_home_is_made_where_programs_may_write(entry, words):
    assert entry(*words).returncode == 0
    assert (entry.directory / "home").is_dir()
    for stage in ("HOME", "MPLCONFIGDIR"):
        assert re.search(rf"\b{stage}=/tmp/home", DOCKERFILE)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"HOME": "/proc/none"}, "cannot write to /proc/none, the value of HOME: set it to"),
        ({"TMPDIR": "/proc"}, "cannot write to /proc, which every program needs"),
    ],
)
def test_read_only_folder_is_named_before_a_program_starts(entry, environ, message):
    result = entry("lab", **environ)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert message in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_folder_that_cannot_be_written_is_told(entry):
    (entry.directory / "notebooks").mkdir(mode=0o555)
    assert "cannot write to" in entry("lab").stderr


def lab_configuration():
    parts = ("ServerApp", "LabApp", "IdentityProvider")
    configuration = SimpleNamespace(**{part: SimpleNamespace() for part in parts})
    code = (DOCKER / "jupyter_lab_config.py").read_text()
    exec(code, {"get_config": lambda: configuration})
    return configuration


def test_lab_listens_on_the_published_port_and_asks_no_other_server():
    configuration = lab_configuration()
    server = configuration.ServerApp
    assert (server.port, server.port_retries, server.root_dir) == (8888, 0, "/workspace")
    assert not {"token", "password"} & vars(server).keys()
    assert configuration.LabApp.news_url is None
    assert configuration.LabApp.extension_manager == "readonly"


# --- The health check ---


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api" else 403)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_health_of_jupyterlab_is_whether_it_answers(tmp_path, monkeypatch, server):
    healthcheck = script("healthcheck")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(healthcheck, "URL", f"{server}/lab")
    (tmp_path / "moe_vae_lab").touch()
    with pytest.raises(OSError, match="403"):
        healthcheck.main()
    monkeypatch.setattr(healthcheck, "URL", f"{server}/api")
    assert healthcheck.main() == 0


@pytest.fixture
def health(tmp_path, monkeypatch):
    """The health check of a command: `check(seconds, used)` at a time, with processor times."""
    healthcheck = script("healthcheck")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(healthcheck, "task_of", lambda: None)

    def check(now, used):
        monkeypatch.setattr(healthcheck.time, "monotonic", lambda: now)
        monkeypatch.setattr(healthcheck, "processor_seconds", lambda: used)
        return healthcheck.main()

    check.module = healthcheck
    return check


def test_health_of_a_command_is_whether_it_computes(health, capsys):
    assert health(100.0, {"7": 5.0}) == 0, "there is nothing to compare with yet"
    assert health(130.0, {"7": 20.0}) == 0
    assert health(160.0, {"7": 20.1, "8": 0.1}) == 1
    assert "does not compute: 0.7% of a core" in capsys.readouterr().out
    assert health(190.0, {"8": 30.0}) == 0, "a process that ended counts for nothing"


def test_processor_time_is_that_of_the_other_processes():
    used = script("healthcheck").processor_seconds
    assert str(os.getpid()) not in used()
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        deadline = time.monotonic() + 60
        while used().get(str(busy.pid), 0.0) < 0.2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        busy.kill()


def test_task_of_a_cluster_is_found_by_its_words(tmp_path):
    words = ["moe_vae", "train", "--cluster", "cluster.json", "--job", "ps", "--task", "0"]
    process = tmp_path / "7"
    process.mkdir()
    (process / "cwd").symlink_to("/workspace")
    (process / "cmdline").write_bytes("\0".join(["python", "-m", *words, ""]).encode())
    task_of = script("healthcheck").task_of
    assert task_of(tmp_path) == (Path("/workspace/cluster.json"), "ps")
    (process / "cmdline").write_bytes(b"python\0-m\0moe_vae\0train\0")
    assert task_of(tmp_path) is None


def test_health_of_a_task_is_whom_it_reaches(health, tmp_path, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        here, gone = (f"127.0.0.1:{s.getsockname()[1]}" for s in (there, free))
        file = tmp_path / "cluster.json"
        for ps, worker, codes in [
            ([here], [here, gone], {"worker": 0, "ps": 0}),
            ([here, gone], [here], {"worker": 1, "ps": 0}),
            ([here], [gone, gone], {"worker": 0, "ps": 1}),
        ]:
            file.write_text(json.dumps({"ps": ps, "worker": worker}))
            for job, code in codes.items():
                monkeypatch.setattr(health.module, "task_of", lambda job=job: (file, job))
                (tmp_path / "moe_vae_health").unlink(missing_ok=True)
                assert health(0.0, {}) == code, (job, ps, worker)
    assert f"the ps does not reach {gone}, {gone}" in capsys.readouterr().out


def test_health_check_asks_where_jupyterlab_listens():
    assert script("healthcheck").URL == "http://127.0.0.1:8888/api"


# --- The devices ---


def never():
    raise AssertionError("nothing is missing")


def test_devices_are_told_in_one_line():
    describe = script("report_devices").describe
    assert describe([], 1, False, never) == "Devices: CPU (1 core)."
    assert describe(["A", "B"], 4, True, never) == "Devices: GPU A, GPU B, CPU (4 cores)."
    line = describe([], 2, True, lambda: "it is not there")
    assert line.startswith("Devices: CPU (2 cores); a GPU was expected, but it is not there. ")
    assert "moe_vae:cpu" in line
    assert "\n" not in line


def no_library(name, **_):
    raise OSError(f"{name}: cannot open shared object file")


def driver(code):
    return lambda name: SimpleNamespace(cuInit=lambda flags: code)


@pytest.mark.parametrize(
    ("environ", "load", "reason"),
    [
        ({}, no_library, "--gpus all"),
        ({}, driver(100), "error 100"),
        ({}, driver(0), "TF_CPP_MIN_LOG_LEVEL"),
        ({"CUDA_VISIBLE_DEVICES": ""}, driver(100), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_why_there_is_no_gpu(environ, load, reason):
    assert reason in script("report_devices").why_no_gpu(environ, load)


def test_devices_come_from_tensorflow():
    names = script("report_devices").gpu_names()
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        assert names == []
    else:
        assert all(isinstance(name, str) for name in names)


# --- NVIDIA's libraries ---


def test_libraries_are_loaded_after_those_that_they_need():
    loaded = []

    def load(path, mode):
        if path == "first" and "second" not in loaded:
            raise OSError("second: cannot open shared object file")
        if path == "broken":
            raise OSError("broken: undefined symbol: x")
        if path == "waiting":
            raise OSError("libcuda.so.1: cannot open shared object file")
        loaded.append(path)

    paths = ["first", "broken", "waiting", "second"]
    assert script("load_nvidia").load_all(paths, load) == (
        ["second", "first"],
        ["waiting"],
        {"broken": "broken: undefined symbol: x"},
    )


def test_another_version_than_the_pinned_one_is_an_error(tmp_path):
    load_nvidia = script("load_nvidia")
    with pytest.raises(RuntimeError, match=r"0\.0 is pinned"):
        load_nvidia.libraries("numpy", "0.0")
    assert load_nvidia.libraries("numpy", required("cpu")["numpy"])
    lock = tmp_path / "lock.txt"
    lock.write_text("numpy==1.0 \\\n")
    with pytest.raises(RuntimeError, match="no NVIDIA package"):
        load_nvidia.main(lock)


# --- Symbols ---


def test_library_without_its_symbols_still_loads(tmp_path):
    strip = script("strip_symbols").strip
    library = tmp_path / "library.so"
    shutil.copy(_multiarray_umath.__file__, library)
    strip(library)
    stripped = library.read_bytes()
    library.write_bytes(stripped + b"symbols")
    assert strip(library) == len(b"symbols")
    assert library.read_bytes() == stripped
    assert strip(library) == 0
    assert ctypes.CDLL(os.fspath(library)).PyInit__multiarray_umath


def test_only_libraries_lose_their_symbols(tmp_path):
    text = tmp_path / "text.so.txt"
    text.write_bytes(b"GROUP ( libm.so )" * 100)
    assert script("strip_symbols").strip(text) == 0
    assert text.read_bytes() == b"GROUP ( libm.so )" * 100


# --- The README ---


def test_links_of_the_readme_lead_somewhere():
    text = (DOCKER / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    local = [link for link in links if "://" not in link]
    assert local
    assert all((DOCKER / link).exists() for link in local)


def typed(page, program):
    """The commands of a page's blocks and lines that begin with a program's name, as words."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    commands = re.findall(
        rf"^(?:\w+=\S+ )*({program} [^\n]*)|`(?:\w+=\S+ )*({program} [^`]*)`", text, re.M
    )
    return [shlex.split(block or line) for block, line in commands]


def test_commands_that_the_readme_runs_in_an_image_are_the_command_lines():
    seen = []
    for words in typed("docker/README.md", "docker run"):
        place = next((n for n, word in enumerate(words) if word.startswith("moe_vae:")), None)
        if place is None or "--entrypoint" in words or not words[place + 1 :]:
            continue
        command_line.parser_of("moe_vae").parse_args(words[place + 1 :])
        seen.append(words[place])
    assert set(seen) == {"moe_vae:cpu", "moe_vae:gpu"}


@pytest.mark.parametrize("page", ["README.md", "docker/README.md"])
def test_commands_for_compose_name_files_profiles_and_services(page, compose):
    commands = typed(page, "docker compose")
    assert commands
    for words in commands:
        if words[2:] == ["version"]:
            continue
        files = [words[n + 1] for n, word in enumerate(words) if word == "-f"]
        assert files, words
        assert all((ROOT / file).exists() for file in files), words
        profiles = [words[n + 1] for n, word in enumerate(words) if word == "--profile"]
        assert set(profiles) <= {s["profiles"][0] for s in compose["services"].values()}, words
        assert {"up", "logs", "down", "cp"} & set(words), words


def test_readme_names_the_services_variables():
    text = (DOCKER / "README.md").read_text()
    files = "".join(path.read_text() for path in DOCKER.glob("compose*.yaml"))
    variables = set(re.findall(r"\$\{(\w+)", files))
    assert len(variables) > 5
    for name in (*variables, "JUPYTER_TOKEN", "MOE_VAE_EXPECT_GPU", "COMPOSE_PROFILES"):
        assert name in text, name
