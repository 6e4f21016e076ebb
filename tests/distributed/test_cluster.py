"""One training by several processes, each with a TensorFlow server on this machine's loopback."""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tasks import (
    PATIENCE,
    SPIRAL,
    beginning,
    ended,
    forked_processes,
    start_one,
    start_tasks,
    two_workers,
    wait_until,
)

from moe_vae import (
    DataSet,
    build_conditional_vae,
    build_dmvae,
    build_mixture_of_vaes,
    make_spiral,
    messages,
)
from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.data.dataset import Batch
from moe_vae.distributed import session
from moe_vae.distributed.member import Member
from moe_vae.distributed.servers import (
    Cluster,
    ClusterError,
    place_on_servers,
    read_cluster,
    start_server,
    wait_for_servers,
)
from moe_vae.distributed.session import serve
from moe_vae.distributed.shard import Shard
from moe_vae.distributed.trainer import start_cluster_trainer
from moe_vae.evaluation.clustering import score_clustering
from moe_vae.nn.noise import key_value, noise_key
from moe_vae.nn.sessions import session_config
from moe_vae.training.checkpoints import Checkpoints
from moe_vae.training.trainer import start_trainer

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SEED = 3
BATCH = 20
N_STEPS = 20
LAYERS = {"encoder_layers": [8], "decoder_layers": [8], "z_dim": 2, "batch_size": BATCH}
MODELS = {
    "conditional-vae": (build_conditional_vae, {**LAYERS, "digit_classification_layers": [8]}),
    # The balancing loss is not a mean over the batch, so the mean of the workers' gradients is not
    # its gradient.
    "mixture-of-vaes": (
        build_mixture_of_vaes,
        {**LAYERS, "n_experts": 3, "manager_layers": [8], "balancing_weight": 0.0},
    ),
    "convolutions": (
        build_conditional_vae,
        {
            **LAYERS,
            "network": "conv",
            "encoder_filters": [4, 4],
            "digit_classification_layers": [8],
        },
    ),
}
NOISE = {
    "conditional-vae": lambda model: [model.eps],
    "mixture-of-vaes": lambda model: [expert.eps for expert in model.experts],
    "convolutions": lambda model: [model.eps],
}


def random_data(n_examples=50):
    generator = np.random.default_rng(0)
    images = 0.2 * generator.random([n_examples, 784], np.float32)
    return DataSet(images, generator.integers(0, 10, n_examples))


# Processes


@pytest.fixture(scope="module")
def context():
    return forked_processes()


@pytest.fixture
def begin(context):
    with beginning(context) as begin:
        yield begin


def take_part(cluster, job, task, model, n_epochs, results, synchronous=True, epoch_over=None):
    """One task, made of the package's own pieces and not by a command."""
    member = Member(cluster, job, task, start_server(cluster, job, task), synchronous, PATIENCE)
    if job == "ps":
        return serve(member)
    build, params = MODELS[model]
    trainer = start_cluster_trainer(build, params, SEED, member)
    data = random_data()
    if not member.is_chief:
        return trainer.follow(data)
    if epoch_over is not None:
        trainer.listeners.append(lambda trainer, train_set: epoch_over.set())
    trainer.save(results / "first.ckpt")
    trainer.fit(data, n_epochs, sample=False)
    trainer.save(results / "last.ckpt")
    variables = trainer.session.graph.get_collection("variables")
    devices = {variable.op.name: variable.device for variable in variables}
    (results / "end.json").write_text(json.dumps({"history": trainer.history, "devices": devices}))
    trainer.end()


def run_together(begin, cluster, model, n_epochs, results, synchronous=True):
    processes = [
        begin(take_part, cluster, job, task, model, n_epochs, results, synchronous)
        for job in ("ps", "worker")
        for task in range(len(cluster.addresses(job)))
    ]
    assert [ended(process) for process in processes] == [0] * len(processes)
    return json.loads((results / "end.json").read_text())


# Two synchronous workers are one process with twice the batch


def one_process_with_twice_the_batch(model):
    """The history of a plain trainer that is fed both workers' batches and both workers' noise."""
    build, params = MODELS[model]
    data = random_data()
    batches = []
    for number in range(2):
        np.random.seed(SEED)  # as each worker seeds itself
        shard = Shard(data, number, 2)
        batches.append([shard.take_batch(BATCH) for _ in range(N_STEPS)])
    plain = start_trainer(build, {**params, "batch_size": 2 * BATCH}, SEED)
    with plain.session.graph.as_default():
        key = noise_key()
    eps = NOISE[model](plain.model)

    def drawn(draw, batch):
        feed = {**plain.model.feed(batch), key: key_value(SEED, draw)}
        return plain.session.run(eps, feed)

    history = []
    for step, of_both in enumerate(zip(*batches, strict=True)):
        # The chief draws once for the step and once to evaluate, the other for the step alone.
        draws = [2 * step, 2**31 + step]
        noise = [drawn(draw, batch) for draw, batch in zip(draws, of_both, strict=True)]
        images, labels = (np.concatenate([batch[i] for batch in of_both]) for i in range(2))
        feed = plain.model.feed(Batch(images, labels))
        feed |= {e: np.concatenate(parts) for e, *parts in zip(eps, *noise, strict=True)}
        plain.session.run(plain.train_steps["loss"], feed)
        whole = drawn(2 * step + 1, Batch(data.images, data.labels))
        history.append(plain.evaluate(data, dict(zip(eps, whole, strict=True))))
    return {name: [losses[name] for losses in history] for name in history[0]}


@pytest.mark.parametrize("model", MODELS)
def test_two_synchronous_workers_are_one_process_with_twice_the_batch(begin, tmp_path, model):
    end = run_together(begin, two_workers(n_servers=2), model, N_STEPS, tmp_path)
    expected = one_process_with_twice_the_batch(model)
    assert end["history"].keys() == expected.keys()
    for name, losses in expected.items():
        assert len(losses) == N_STEPS
        # The variance of nearly equal sums loses digits in single precision.
        rtol = 1e-3 if name == "balancing_loss" else 1e-5
        np.testing.assert_allclose(end["history"][name], losses, rtol=rtol, err_msg=name)
    assert expected["loss"][-1] < expected["loss"][0], "it learned nothing"

    # The checkpoint is a plain one, of the same weights at the start and trained on.
    build, params = MODELS[model]
    plain = start_trainer(build, params, SEED)
    plain.save(tmp_path / "plain.ckpt")
    names = tf.train.list_variables(os.fspath(tmp_path / "plain.ckpt"))
    assert names == tf.train.list_variables(os.fspath(tmp_path / "last.ckpt"))
    paths = [os.fspath(tmp_path / f"{name}.ckpt") for name in ("plain", "first")]
    readers = [tf.train.load_checkpoint(path) for path in paths]
    for name, _ in names:
        np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers))
    plain.restore(tmp_path / "last.ckpt")
    assert plain.evaluate(random_data())["loss"] == pytest.approx(expected["loss"][-1], rel=0.05)

    servers = {name: device.partition("/task:")[2][:1] for name, device in end["devices"].items()}
    assert {device[:7] for device in end["devices"].values()} == {"/job:ps"}
    assert set(servers.values()) == {"0", "1"}
    for name, server in servers.items():
        expert = re.match(r"(?:en|de)code_(\d+)/", name)
        assert expert is None or server == str(int(expert[1]) % 2), name


def test_asynchronous_workers_train_together(begin, tmp_path):
    end = run_together(begin, two_workers(), "conditional-vae", 8, tmp_path, synchronous=False)
    losses = end["history"]["loss"]
    assert len(losses) == 8
    assert losses[-1] < losses[0]


# Shards and places


def test_shards_divide_the_examples():
    data = random_data(11)
    shards = [Shard(data, number, 3) for number in range(3)]
    assert [shard.num_examples for shard in shards] == [4, 4, 3]
    seen = [image.tobytes() for shard in shards for image in shard.examples(slice(None))[0]]
    assert sorted(seen) == sorted(image.tobytes() for image in data.images)


def test_batches_of_a_shard_come_from_the_shard_alone():
    data = random_data(11)
    rows = range(1, 11, 2)
    own = {data.images[row].tobytes(): data.labels[row] for row in rows}
    shard = Shard(data, 1, 2)
    for _ in range(4):
        images, labels = shard.next_batch(3)
        assert [own[image.tobytes()] for image in images] == labels.tolist()
    assert data.batch_state["position"] == 0


def test_partners_of_a_shard_are_neighbours_among_all_examples():
    data = random_data(10)
    data.neighbours = (np.arange(10)[:, None] + 1) % 10
    shard = Shard(data, 0, 2)
    np.testing.assert_array_equal(shard.examples([4]).partners, data.images[[9]])
    np.testing.assert_array_equal(shard.examples(slice(None)).partners, data.images[1::2])


def test_variables_without_an_expert_go_where_the_fewest_bytes_are():
    cluster = Cluster(("a:1", "b:2"), ("c:3",))
    with tf.Graph().as_default(), tf.device(place_on_servers(cluster, 0)):
        sizes = [100, 10, 10, 10, 100]
        variables = [tf.get_variable(f"v{n}", [size]) for n, size in enumerate(sizes)]
        total = tf.add_n([tf.reduce_sum(variable) for variable in variables])
    servers = [int(variable.device.partition("/task:")[2][0]) for variable in variables]
    assert servers == [0, 1, 1, 1, 1]
    assert total.device.startswith("/job:worker/task:0")


# Faults


def test_a_worker_that_was_killed_and_started_again_rejoins(context, begin, tmp_path):
    cluster, n_epochs = two_workers(), 200
    epoch_over = context.Event()

    def start(job, task):
        words = (cluster, job, task, "conditional-vae", n_epochs, tmp_path, True, epoch_over)
        return begin(take_part, *words)

    server, chief, worker = start("ps", 0), start("worker", 0), start("worker", 1)
    assert epoch_over.wait(PATIENCE)
    worker.kill()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL, "it ended before it was killed"
    assert chief.exitcode is None, "the training ended before the worker was killed"
    again = start("worker", 1)
    assert [ended(process) for process in (chief, again, server)] == [0, 0, 0]
    losses = json.loads((tmp_path / "end.json").read_text())["history"]["loss"]
    assert len(losses) == n_epochs
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def read_json(path):
    return json.loads(path.read_text())


def last_checkpoint(directory):
    """Goes on from the last checkpoint, every byte of which is checked; returns its losses."""
    identity = read_json(max(directory.glob("epoch-??????")) / "manifest.json")
    assert identity.pop("files")
    build = functools.partial(build_dmvae, shape=(2,))
    trainer = start_trainer(build, identity["params"], identity["seed"])
    shard = Shard(make_spiral(0).train, 0, 2)
    assert Checkpoints(directory, identity).restore(trainer, shard) == []
    return trainer.history["loss"]


def test_a_server_that_is_being_killed_is_gone_when_it_no_longer_answers(monkeypatch):
    answers = [[], [], ["parameter server 1"]]
    monkeypatch.setattr(session, "unreached", lambda *_: answers.pop(0))
    assert session._gone_servers(None) == ["parameter server 1"]
    assert not answers
    monkeypatch.setattr(session, "unreached", lambda *_: [])
    monkeypatch.setattr(session, "GONE_SECONDS", 0.1)
    assert session._gone_servers(None) == []


@pytest.mark.parametrize("heading", ["Graph execution error:", "====================="])
def test_an_error_is_said_without_tensorflows_heading(heading):
    error = tf.errors.UnavailableError(None, None, f"{heading}\n\nSocket closed\nelse")
    assert session._line(error) == "Socket closed"


def refused_once(message, results):
    """Returns a `tf.Session.run` that raises what a server answers, and after that runs."""
    original, answers = tf.Session.run, [tf.errors.AbortedError(None, None, message)]

    def run(self, *args, **kwargs):
        if answers:
            results.append("refused")
            raise answers.pop()
        results.append("run")
        return original(self, *args, **kwargs)

    return run


def meet_a_refusal(cluster, results):
    """Adds to a variable on the server, in a step whose request the server refuses at first."""
    for task in range(len(cluster.ps)):
        start_server(cluster, "ps", task)
    member = Member(cluster, "worker", 0, start_server(cluster, "worker", 0), True, PATIENCE)
    with tf.Graph().as_default() as graph:
        with tf.device("/job:ps/task:0"):
            total = tf.Variable(0)
        added = tf.assign_add(total, 1)
        opened = session.ClusterSession(member, graph)
        opened.run(total.initializer)
        ran: list[str] = []
        tf.Session.run = refused_once("The same RunGraph (Worker) request was received twice.", ran)
        try:
            end = int(opened.run(added))
        except ClusterError as error:
            end = str(error)
    results.write_text(json.dumps([ran, end]))


def test_a_step_whose_number_the_only_server_refuses_is_run_again(begin, tmp_path):
    assert ended(begin(meet_a_refusal, two_workers(), tmp_path / "end.json")) == 0
    assert read_json(tmp_path / "end.json") == [["refused", "run"], 1]


def test_a_step_that_one_of_two_servers_refuses_ends_the_training(begin, tmp_path):
    assert ended(begin(meet_a_refusal, two_workers(n_servers=2), tmp_path / "end.json")) == 0
    ran, end = read_json(tmp_path / "end.json")
    assert ran == ["refused"]
    assert end == (
        "the cluster failed (The same RunGraph (Worker) request was received twice.): "
        "--resume continues from the last checkpoint"
    )


def test_a_parameter_server_that_was_killed_ends_every_worker(begin, tmp_path):
    cluster, processes = start_tasks(begin, tmp_path, ["--epochs", "100000"])
    checkpoints = tmp_path / "run" / "checkpoints"
    wait_until(lambda: list(checkpoints.glob("epoch-??????")), "a checkpoint")
    processes["ps0"].kill()
    for name in ("worker0", "worker1"):
        assert ended(processes[name]) == 2
        said = (tmp_path / name).read_text()
        line = said.strip().splitlines()[-1]
        expected = f"error: parameter server 0 at {cluster.ps[0]} is gone: --resume continues"
        assert expected in line, said
        assert "Traceback" not in said

    before = last_checkpoint(checkpoints)
    n_epochs = len(before) + 2
    cluster, processes = start_tasks(begin, tmp_path, ["--epochs", str(n_epochs), "--resume"])
    assert {name: ended(process) for name, process in processes.items()} == {
        "ps0": 0,
        "worker0": 0,
        "worker1": 0,
    }, (tmp_path / "worker0").read_text()
    assert f"Going on after epoch {len(before)}." in (tmp_path / "worker0").read_text()
    record = read_json(tmp_path / "run" / "metrics.json")
    assert record["history"]["loss"][: len(before)] == before
    assert len(record["history"]["loss"]) == n_epochs
    shape = {"workers": 2, "parameter_servers": 1, "synchronous": True}
    assert record["cluster"].items() >= shape.items()
    assert min(record["cluster"]["bytes_a_step"]) > 0

    # To whoever works with it, it is a plain run.
    run = tmp_path / "run"
    plain = start_trainer(functools.partial(build_dmvae, shape=(2,)), record["params"], seed=0)
    plain.restore(run / "model.ckpt")
    test_set = make_spiral(0).test
    accuracy = score_clustering(plain, test_set)["accuracy"]
    assert accuracy == pytest.approx(record["test"]["accuracy"])
    main(["generate", "--run", str(run), "--out", str(tmp_path / "drawn.png")])
    assert (tmp_path / "drawn.png").exists()


def test_a_parameter_server_that_no_worker_joins_gives_up(begin, tmp_path):
    (tmp_path / "cluster.json").write_text(json.dumps(two_workers()._asdict()))
    server = start_one(begin, tmp_path, "ps", 0, [], wait=1)
    assert ended(server) == 2
    line = (tmp_path / "ps0").read_text().strip().splitlines()[-1]
    assert "error: none of the 2 workers has been reached for 1 s" in line


def test_a_chief_that_does_not_come_back_ends_the_cluster(begin, tmp_path):
    wait = 20  # seconds
    cluster, processes = start_tasks(begin, tmp_path, ["--epochs", "100000"], wait)
    wait_until(lambda: list((tmp_path / "run" / "checkpoints").glob("epoch-??????")), "an epoch")
    processes["worker0"].kill()
    assert ended(processes["worker1"]) == 2
    expected = f"worker 0 at {cluster.worker[0]} has not been reached for {wait} s"
    assert expected in (tmp_path / "worker1").read_text()
    assert ended(processes["ps0"]) == 2
    assert f"none of the 2 workers has been reached for {wait} s" in (tmp_path / "ps0").read_text()


def test_tasks_that_sigterm_ends_say_so_by_their_exit_code(begin, tmp_path):
    _, processes = start_tasks(begin, tmp_path, ["--epochs", "100000"])
    wait_until(lambda: list((tmp_path / "run" / "checkpoints").glob("epoch-??????")), "an epoch")
    for name in ("worker1", "worker0", "ps0"):  # the last one holds what the chief saves
        processes[name].terminate()
        assert ended(processes[name]) == 128 + signal.SIGTERM, name
    assert "Traceback" not in "".join((tmp_path / name).read_text() for name in processes)
    assert last_checkpoint(tmp_path / "run" / "checkpoints")


def test_tasks_are_awaited_from_when_they_were_first_missed(monkeypatch, capsys):
    now, answers = [0.0], {}
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(session, "unreached", lambda cluster, job: answers[job])
    absences = session.Absences(Cluster(("a:1",), ("b:2", "c:3")))
    for at, missing, expected in [
        (0.0, ["worker 0 at b:2"], {"worker 0 at b:2": 0.0}),
        (
            5.0,
            ["worker 0 at b:2", "worker 1 at c:3"],
            {"worker 0 at b:2": 5.0, "worker 1 at c:3": 0.0},
        ),
        (9.0, ["worker 1 at c:3"], {"worker 1 at c:3": 4.0}),
        (10.0, ["worker 0 at b:2"], {"worker 0 at b:2": 0.0}),
    ]:
        now[0], answers["worker"] = at, missing
        assert absences.seconds("worker") == expected
    awaited = ["worker 0 at b:2", "worker 1 at c:3", "worker 0 at b:2"]
    assert capsys.readouterr() == ("", "".join(f"Waiting for {title}.\n" for title in awaited))


def test_an_awaited_task_is_not_named_if_it_is_to_be_quiet(monkeypatch, capsys):
    monkeypatch.setattr(session, "unreached", lambda *_: ["worker 0 at b:2"])
    monkeypatch.setattr(messages, "_level", messages.QUIET)
    session.Absences(Cluster(("a:1",), ("b:2",))).seconds("worker")
    assert capsys.readouterr() == ("", "")


def test_a_run_of_a_cluster_is_not_gone_on_with_alone(begin, tmp_path, capfd):
    _, processes = start_tasks(begin, tmp_path, ["--epochs", "1"])
    assert ended(processes["worker0"]) == 0, (tmp_path / "worker0").read_text()
    words = ["train", *SPIRAL, "--epochs", "2", "--out", tmp_path / "run", "--resume"]
    assert "is of another run: its name is 'spiral" in error_line(capfd, *words)
    assert "in 2 shards', not 'spiral" in error_line(capfd, *words)


def takes_gradients(server, checkpoint):
    """Takes the gradients that wait on a parameter server, as a chief does; whether all waited."""
    shapes = tf.train.load_checkpoint(str(checkpoint)).get_variable_to_shape_map()
    # What is trained, which has Adam's variables beside it.
    names = [name for name in shapes if f"{name}/Adam" in shapes]
    with tf.Graph().as_default(), tf.device("/job:ps/task:0"):
        waiting = [
            tf.ConditionalAccumulator(tf.float32, shapes[name], f"{name}:0/grad_accum")
            for name in names
        ]
        counted = [each.num_accumulated() for each in waiting]
        taken = [each.take_grad(1) for each in waiting]
        config = session_config(device_filters=["/job:ps/task:0"])
        with tf.Session(f"grpc://{server}", config=config) as opened:
            if not all(opened.run(counted)):
                return False
            opened.run(taken)
    return True


def test_a_chief_that_was_killed_within_a_step_lets_the_others_go_on(begin, tmp_path):
    endless = ["--epochs", "100000", "--resume"]
    cluster, processes = start_tasks(begin, tmp_path, endless)
    directory, took = tmp_path / "run" / "checkpoints", False

    def last():
        return max(directory.glob("epoch-??????"), default=None)

    while not took:  # the chief may have been killed between two epochs
        before = last()
        wait_until(lambda before=before: last() != before, "a checkpoint")
        processes["worker0"].kill()
        processes["worker0"].join()
        time.sleep(1)  # for worker 1's gradients
        took = takes_gradients(cluster.ps[0], last() / "model.ckpt")
        words = ["--epochs", str(int(last().name[-6:]) + 2), "--resume"] if took else endless
        processes["worker0"] = start_one(begin, tmp_path, "worker", 0, words)
    codes = [ended(process) for process in processes.values()]
    assert codes == [0, 0, 0], (tmp_path / "worker0").read_text()


@pytest.mark.long
def test_a_chief_that_was_killed_goes_on_from_its_last_checkpoint(begin, tmp_path):
    words = ["--epochs", "40", "--resume"]
    _, processes = start_tasks(begin, tmp_path, words)
    checkpoints = tmp_path / "run" / "checkpoints"
    wait_until(lambda: list(checkpoints.glob("epoch-??????")), "a checkpoint")
    processes["worker0"].kill()
    processes["worker0"].join()
    before = last_checkpoint(checkpoints)
    assert len(before) < 40, "it ended before it was killed"
    processes["worker0"] = start_one(begin, tmp_path, "worker", 0, words)
    codes = [ended(process) for process in processes.values()]
    assert codes == [0, 0, 0], (tmp_path / "worker0").read_text()
    losses = read_json(tmp_path / "run" / "metrics.json")["history"]["loss"]
    assert losses[: len(before)] == before
    assert len(losses) == 40


def test_a_worker_of_another_run_is_refused(begin, tmp_path):
    cluster, processes = start_tasks(begin, tmp_path, ["--epochs", "100000"])
    processes["worker1"].kill()
    processes["worker1"].join()
    other = start_one(begin, tmp_path, "worker", 1, ["--epochs", "100000", "--seed", "6"])
    assert ended(other) == 2
    expected = f"error: worker 0 at {cluster.worker[0]} trains another model or other data"
    assert expected in (tmp_path / "worker1").read_text()


# Bad input


def error_line(capfd, *words):
    """Runs a command that must fail: exit code 2, one line of error on standard error."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([os.fspath(word) for word in words])
    *said, error = capfd.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert all(line.startswith(("The engine is ", "Training ")) for line in said), said
    assert re.fullmatch(r"python -m moe_vae.*: error: .+", error), error
    return error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds a list: it must be an object"),
        ('{"ps": ["a:1"]}', "lacks 'worker'"),
        (
            '{"ps": ["a:1"], "worker": ["b:2"], "chief": ["c:3"]}',
            "has 'chief': it may have format_version, ps, worker",
        ),
        ('{"ps": [], "worker": ["b:2"]}', "has [] as 'ps': it must have at least 1 item"),
        ('{"ps": ["a:1"], "worker": "b:2"}', "has 'b:2' as 'worker': it must be a list"),
        ('{"ps": ["a"], "worker": ["b:2"]}', "has 'a' as 'ps.0': it must be host:port"),
        ('{"ps": ["a:0"], "worker": ["b:2"]}', "has 'a:0' as 'ps.0': it must be host:port"),
        ('{"ps": ["a:65536"], "worker": ["b:2"]}', "has 'a:65536' as 'ps.0'"),
        ('{"ps": ["grpc://a:1"], "worker": ["b:2"]}', "has 'grpc://a:1' as 'ps.0'"),
        ('{"ps": [5], "worker": ["b:2"]}', "has 5 as 'ps.0': it must be a text"),
        ('{"ps": ["a:1"], "worker": ["b:2", "a:1"]}', "the address 'a:1' twice"),
    ],
)
def test_a_malformed_cluster_file_is_refused(capfd, tmp_path, content, message):
    file = tmp_path / "cluster.json"
    file.write_text(content)
    words = ["train", *SPIRAL, "--out", tmp_path / "run", "--cluster", file]
    line = error_line(capfd, *words, "--job", "ps", "--task", "0")
    assert f"{file} " in line
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--job", "worker", "--task", "2"], "--task is 2: it must be in 0 to 1, the tasks of"),
        (["--job", "ps", "--task", "1"], "--task is 1: it must be in 0 to 0, the tasks of"),
        (["--job", "ps", "--task", "-1"], "argument --task: '-1' is not a whole number"),
        (["--job", "chief", "--task", "0"], "--job: invalid choice: 'chief'"),
        (["--job", "worker"], "--cluster needs --task"),
        (["--task", "0"], "--cluster needs --job"),
        (["--job", "ps", "--task", "0", "--wait", "0"], "'0' is not a number of seconds above 0"),
    ],
)
def test_a_task_that_is_not_there_is_refused(capfd, tmp_path, words, message):
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps(two_workers()._asdict()))
    every = ["train", *SPIRAL, "--out", tmp_path / "run", "--cluster", file]
    assert message in error_line(capfd, *every, *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words", [["--job", "ps"], ["--task", "0"], ["--asynchronous"], ["--wait", "5"]]
)
def test_the_options_of_a_task_need_a_cluster(capfd, tmp_path, words):
    line = error_line(capfd, "train", *SPIRAL, "--out", tmp_path / "run", *words)
    assert f"{words[0]} needs --cluster" in line


def task_line(capfd, tmp_path, cluster, job, *words):
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps(cluster._asdict()))
    every = ["train", *SPIRAL, "--out", tmp_path / "run", "--cluster", file]
    return error_line(capfd, *every, "--job", job, "--task", "0", *words)


def test_an_address_that_is_taken_is_refused_at_once(capfd, tmp_path):
    cluster = two_workers()
    with socket.create_server(("127.0.0.1", int(cluster.ps[0].partition(":")[2]))):
        line = task_line(capfd, tmp_path, cluster, "ps")
    assert f"parameter server 0 at {cluster.ps[0]}: cannot listen there (Address already" in line


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "cannot listen there (Cannot assign requested address)"),  # of no computer
        ("no-such-host.invalid", "host 'no-such-host.invalid' is unknown"),
    ],
)
def test_an_address_of_another_computer_is_refused(capfd, tmp_path, host, message):
    cluster = two_workers()._replace(ps=(f"{host}:2222",))
    assert message in task_line(capfd, tmp_path, cluster, "ps")


def test_a_server_that_is_not_reached_is_named_and_given_up(capfd):
    cluster = two_workers(n_servers=2)
    with socket.create_server(("127.0.0.1", int(cluster.ps[0].partition(":")[2]))):
        start = time.monotonic()
        with pytest.raises(ClusterError, match=rf"{cluster.ps[1]} was not reached in 1 s"):
            wait_for_servers(cluster, 1.0)
    assert 1 <= time.monotonic() - start < 10
    expected = f"Waiting for parameter server 1 at {cluster.ps[1]}, for 1 s at most.\n"
    assert capfd.readouterr().err == expected


def listening(pid):
    """The local addresses that a process listens on, as Linux has them: hexadecimal."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except FileNotFoundError:  # closed since
            continue
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {line[1] for line in lines if line[3] == "0A" and line[9] in inodes}


def hold(cluster, ready, done):
    server = start_server(cluster, "ps", 0)
    assert server.target
    ready.set()
    done.wait(PATIENCE)


def test_a_server_listens_on_its_address_alone(context, begin):
    cluster, ready, done = two_workers(), context.Event(), context.Event()
    process = begin(hold, cluster, ready, done)
    assert ready.wait(PATIENCE)
    port = int(cluster.ps[0].partition(":")[2])
    assert listening(process.pid) == {f"0100007F:{port:04X}"}  # 127.0.0.1
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    done.set()
    assert ended(process) == 0


def test_read_cluster_keeps_the_order_of_the_file(tmp_path):
    file = tmp_path / "cluster.json"
    file.write_text('{"worker": ["b:2", "a:1"], "ps": ["127.0.0.1:65535"]}')
    assert read_cluster(file) == Cluster(("127.0.0.1:65535",), ("b:2", "a:1"))


# A whole cluster by one command


def processes_of(directory):
    """The processes whose words name a directory, by number; this one left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):  # ended since
            continue
        if any(os.fspath(directory) in word for word in words):
            found[int(path.parent.name)] = words
    return found


@pytest.fixture
def cluster_command(tmp_path):
    """Function that starts `cluster` in a process of its own, which is stopped in the end."""
    started = []

    def start(*words):
        every = [sys.executable, "-m", "moe_vae", "cluster", *SPIRAL, "--wait", str(PATIENCE)]
        started.append(
            subprocess.Popen(
                [*every, "--out", tmp_path / "run", *words],
                cwd=ROOT,
                stdout=(tmp_path / "out").open("wb"),
                stderr=(tmp_path / "err").open("wb"),
                # Where pytest runs in the background, a shell has had it ignore Ctrl-C.
                preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    assert processes_of(tmp_path) == {}, "not every process was stopped"


def has_checkpoint(directory):
    return lambda: list((directory / "run" / "checkpoints").glob("epoch-??????"))


@pytest.mark.long
def test_ctrl_c_ends_the_cluster_with_what_was_learned(cluster_command, tmp_path):
    process = cluster_command("--epochs", "100000")
    wait_until(has_checkpoint(tmp_path), "a checkpoint")
    assert len(processes_of(tmp_path)) == 4
    process.send_signal(signal.SIGINT)
    said = tmp_path / "err"
    assert process.wait(PATIENCE) == 130, said.read_text()
    assert processes_of(tmp_path) == {}
    record = read_json(tmp_path / "run" / "metrics.json")
    assert record["interrupted"] is True
    n_epochs = len(record["history"]["loss"])
    assert n_epochs >= 1
    last = said.read_text().splitlines()[-1]
    assert last.startswith(f"python -m moe_vae: interrupted after {n_epochs} epochs: what was")


@pytest.mark.long
def test_cluster_trains_a_model_and_stops_every_process(cluster_command, tmp_path):
    process = cluster_command("--epochs", "3", "--workers", "3", "--ps", "2", "--tensorboard")
    assert process.wait(PATIENCE) == 0, (tmp_path / "err").read_text()
    assert processes_of(tmp_path) == {}
    record = read_json(tmp_path / "run" / "metrics.json")
    assert len(record["history"]["loss"]) == 3
    shape = {"workers": 3, "parameter_servers": 2, "synchronous": True}
    assert record["cluster"].items() >= shape.items()
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert "\n3/3 epochs, " in (tmp_path / "err").read_text()
    main(["evaluate", "--run", str(tmp_path / "run"), "--data", "spiral"])
    evaluation = read_json(tmp_path / "run" / "evaluation.json")
    assert evaluation["test"]["accuracy"] == pytest.approx(record["test"]["accuracy"])


@pytest.mark.long
@pytest.mark.parametrize(("job", "name"), [("ps", "parameter server"), ("worker", "worker")])
def test_a_process_that_fails_stops_the_cluster(cluster_command, tmp_path, job, name):
    process = cluster_command("--epochs", "100000")
    wait_until(has_checkpoint(tmp_path), "a checkpoint")
    number = 0 if job == "ps" else 1
    (pid,) = [
        pid
        for pid, words in processes_of(tmp_path).items()
        if words[-5:-1] == ["--job", job, "--task", str(number)]
    ]
    os.kill(pid, signal.SIGKILL)
    assert process.wait(PATIENCE) == 2
    assert processes_of(tmp_path) == {}
    expected = f"python -m moe_vae: error: {name} {number} was ended by SIGKILL"
    assert expected in (tmp_path / "err").read_text().splitlines()[-1]
