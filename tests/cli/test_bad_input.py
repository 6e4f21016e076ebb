"""Bad input to the command line: each case ends in one line on standard error and exit code 2."""

import gzip
import json
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae.cli.main import main
from moe_vae.experiments import runs as experiment_runs

pytestmark = pytest.mark.process

SMALL = ["--set", "encoder_layers=[8]", "--set", "decoder_layers=[8]", "--set", "z_dim=2"]
TRAIN = ["train", "vae", "--data", "spiral", "--epochs", "1", *SMALL]
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, as `train` left it; not to be written to."""
    directory = tmp_path_factory.mktemp("runs") / "vae"
    main([*TRAIN, "--out", str(directory)])
    return directory


@pytest.fixture
def run(trained, empty_directory):
    shutil.copytree(trained, "run")
    return Path("run")


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capfd, *words, code=2):
    """Runs a command that must fail in one line; returns the line."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output, error = capfd.readouterr()
    assert caught.value.code == code, error
    assert output == ""
    lines = [
        line
        for line in error.splitlines()
        if not line.startswith(("The engine is ", "Training ", "Notice: "))
    ]
    assert len(lines) == 1, error
    assert re.match(r"python -m moe_vae.*: error: .+", lines[0])
    assert len(lines[0]) < 2_200
    return lines[0]


# Options.

SETTINGS = {
    "a list as activation": ("vae", "activation=[1]", "'activation' is [1]: it must be one of"),
    "a list as gate": ("moe", "gate=[1]", "'gate' is [1]: it must be one of"),
    "an object as gate": ("moe", "gate={}", "'gate' is {}: it must be one of"),
    "a list as routing": ("mixture-of-vaes", "routing=[1]", "'routing' is [1]: it must be one of"),
    "brackets": ("vae", f"z_dim={DEEP}", "'z_dim' is '[[["),
    "10^400 as a rate": ("vae", f"learning_rate=1{'0' * 400}", "'learning_rate' is 1000"),
    "10^400 as a size": ("vae", f"z_dim=1{'0' * 400}", "0...: it must be at most 65536"),
    "5,000 digits": ("vae", f"z_dim=1{'0' * 5000}", "'z_dim' is '1000"),
    "a layer of 10^7": ("vae", "encoder_layers=[10000000]", "10000000: it must be at most 65536"),
    "a layer of 2^63": ("vae", f"encoder_layers=[{2**63}]", "it must be at most 65536"),
    "2,000 layers": ("vae", f"encoder_layers={[2] * 2000}", "has 2000 layers: there may be"),
    "a million experts": ("mixture-of-vaes", "n_experts=1000000", "it must be at most 1000"),
    "10^30 epochs": ("vae", f"pretrain_epochs=1{'0' * 30}", "it must be at most 1000000"),
    "a batch beyond 2^31": ("vae", f"batch_size={2**31}", "it must be at most 2147483647"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_is_refused(capfd, case):
    model, setting, message = SETTINGS[case]
    words = ["train", model, "--data", "spiral", "--set", setting, "--out", "out"]
    assert message in refused(capfd, *words)
    assert not Path("out").exists()


OPTIONS = {
    "an empty --out": ([*TRAIN, "--out", ""], "argument --out: '' is no path"),
    "a NUL in --out": ([*TRAIN, "--out", "a\0b"], r"argument --out: 'a\x00b' is no path"),
    "a NUL in --from": ([*TRAIN, "--out", "o", "--from", "a\0b"], r"--from: 'a\x00b' is no path"),
    "a NUL in --run": (["generate", "--run", "a\0b"], r"--run: 'a\x00b' is no path"),
    "a NUL in a picture": (
        ["generate", "--run", "o", "--out", "a\0b.png"],
        r"--out: 'a\x00b.png' is no path",
    ),
    "a NUL in a notebook": (["notebooks", "a\0b"], r"'a\x00b' is no path"),
    "a NUL in the data": (
        ["train", "vae", "--data", "./a\0b", "--out", "o"],
        r"'./a\x00b' is no path",
    ),
    "10^30 epochs": (
        [*TRAIN, "--epochs", f"1{'0' * 30}", "--out", "o"],
        "0' is too large: it may be 1000000",
    ),
    "5,000 digits": ([*TRAIN, "--epochs", f"1{'0' * 5000}", "--out", "o"], "is too large"),
    "two ways to set epochs": (
        [*TRAIN, "--set", "epochs=0", "--out", "o"],
        "--set epochs and --epochs both set the parameter 'epochs'",
    ),
    "10^8 pictures": (["generate", "--run", "o", "--count", "100000000"], "is too large"),
    "a cache that is a file": (
        ["train", "information", "--data", "digits", "--cache", "file", "--out", "o"],
        "argument --cache: file is a file: it must be a directory",
    ),
    "a file in --out": ([*TRAIN, "--out", "file"], "argument --out: file is a file"),
    "below a file in --out": ([*TRAIN, "--out", "file/x"], "argument --out: file is a file"),
    "a dangling link in --out": (
        [*TRAIN, "--out", "link"],
        "argument --out: link is a link to nowhere, which does not exist",
    ),
    "a dangling link as picture": (
        ["generate", "--run", "o", "--out", "link.png"],
        "argument --out: 'link.png' is a link to nowhere, which does not exist",
    ),
    "300 letters in --out": (
        [*TRAIN, "--out", "x" * 300],
        f"argument --out: '{'x' * 79}...: File name too long; it must be a directory, or not exist",
    ),
    "300 letters in a picture": (
        ["generate", "--run", "o", "--out", "x" * 300 + ".png"],
        "...: File name too long; it must be a file, or not exist",
    ),
    "below 300 letters in a picture": (
        ["generate", "--run", "o", "--out", "x" * 300 + "/a.png"],
        "...: File name too long; it must be a directory, or not exist",
    ),
    "a folder as picture": (
        ["generate", "--run", "o", "--out", "folder.png"],
        "argument --out: 'folder.png' is a directory: name a file",
    ),
    "a huge picture": (
        ["train", "vae", "--data", "./x", "--image-size", "9" * 20 + "x9", "--out", "o"],
        "has too many pixels",
    ),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_is_refused_before_anything_is_read(monkeypatch, capfd, case):
    words, message = OPTIONS[case]
    Path("file").touch()
    Path("folder.png").mkdir()
    os.symlink("nowhere", "link")
    os.symlink("nowhere", "link.png")
    before = set(Path().iterdir())
    assert message in refused(capfd, *words)
    assert set(Path().iterdir()) == before


def test_what_is_checked_is_checked_before_data_and_tensorflow(monkeypatch, capfd, run):
    def forbidden(*arguments):
        raise AssertionError("it was prepared or built")

    monkeypatch.setattr(experiment_runs, "prepare_data", forbidden)
    monkeypatch.setattr(experiment_runs, "start_trainer", forbidden)
    too_large = refused(capfd, *TRAIN, "--set", "batch_size=25001", "--out", "new")
    assert "'batch_size' is 25001: it must be at most the training set's 25000" in too_large
    monkeypatch.setattr(experiment_runs.DataChoice, "read", forbidden)
    existing = refused(capfd, *TRAIN, "--out", "run")
    assert "run holds a run: continue with --resume" in existing
    cluster = refused(capfd, "cluster", *TRAIN[1:], "--out", "run")
    assert "run holds a run: continue with --resume" in cluster


def test_a_model_larger_than_the_memory_is_refused_before_it_is_made(capfd):
    words = ["train", "vae", "--data", "spiral", "--epochs", "1", "--out", "o"]
    line = refused(capfd, *words, "--set", f"encoder_layers={[65536] * 9}")
    assert "Adam's included, would take" in line
    assert not Path("o").exists()


# A run's record, edited by hand.


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(record):
        for key in path:
            record = record[key]
        record[last] = value

    return change


def without(name):
    return lambda record: record.pop(name)


RECORDS = {
    "an unknown model": (put("model", "x"), "has the model 'x': it must be one of"),
    "a list as model": (put("model", [1]), "has [1] as 'model': it must be a text"),
    "no parameters": (without("params"), "lacks 'params'"),
    "null as parameters": (put("params", None), "has None as 'params': it must be an object"),
    "a list as parameters": (put("params", [1]), "has [1] as 'params': it must be an object"),
    "an unknown parameter": (put("params", "x", 1), "unknown parameter 'x'"),
    "a text as size": (put("params", "z_dim", "5"), "parameter 'z_dim' is '5'"),
    "a text as shape": (put("shape", "x"), "has 'x' as 'shape': it must be a list"),
    "a negative shape": (put("shape", [-2]), "has -2 as 'shape.0': it must be greater than"),
    "a nested shape": (put("shape", [[2]]), "has [2] as 'shape.0': it must be a whole number"),
    "a huge shape": (put("shape", [10**9]), "as 'shape.0': it must be less than or equal to"),
    "no shape": (without("shape"), "lacks 'shape'"),
    "a seed of null": (put("seed", None), "has None as 'seed': it must be a whole number"),
    "a seed of -1": (put("seed", -1), "has -1 as 'seed': it must be greater than or equal to 0"),
    "a seed of 2^32": (put("seed", 2**32), "has 4294967296 as 'seed': it must be less than"),
    "a seed of true": (put("seed", True), "has True as 'seed': it must be a whole number"),
    "a text as history": (put("history", "x"), "has 'x' as 'history': it must be an object"),
    "a ragged history": (put("history", {"loss": [{}]}), "has {} as 'history.loss.0"),
    "a ragged confusion": (
        put("test", {"confusion": [[1, 2], [3]]}),
        "as 'test.confusion': it must be a table whose rows have one length",
    ),
    "a text as confusion": (put("test", {"confusion": "x"}), "has 'x' as 'test.confusion'"),
    "a number as names": (put("class_names", 5), "has 5 as 'class_names': it must be a list"),
    "a text as source": (put("source", "x"), "has 'x' as 'source': it must be an object"),
    "no name of the source": (put("source", {}), "lacks 'source.name'"),
    "more of the source": (put("source", {"name": "spiral", "x": 1}), "has 'source.x'"),
    "a text as quantiles": (put("loss_quantiles", "x"), "has 'x' as 'loss_quantiles'"),
    "a later version": (put("format_version", 2), "has 2 as 'format_version'"),
}


# Every command reads a record through the same door, so that one case shows it for each.
READ_BY = [("generate", case) for case in RECORDS] + [
    (command, "a seed of -1") for command in ("evaluate", "export", "train")
]


@pytest.mark.parametrize(("command", "case"), READ_BY)
def test_an_edited_record_is_refused_by_its_file(capfd, run, command, case):
    change, message = RECORDS[case]
    record = json.loads((run / "metrics.json").read_text())
    change(record)
    (run / "metrics.json").write_text(json.dumps(record))
    words = {
        "generate": ["--run", "run"],
        "evaluate": ["--run", "run"],
        "export": ["--run", "run", "--to", "npz"],
        "train": [*TRAIN[1:], "--from", "run", "--out", "new"],
    }[command]
    assert message in refused(capfd, command, *words)


def test_a_confusion_table_of_another_size_is_refused(capfd):
    main(["train", "mixture-of-vaes", "--data", "spiral", "--epochs", "1", "--out", "run"])
    path = Path("run/metrics.json")
    record = json.loads(path.read_text())
    record["test"]["confusion"] = [[1, 2], [3, 4]]
    path.write_text(json.dumps(record))
    line = refused(capfd, "generate", "--run", "run")
    assert "run/metrics.json has a confusion table of 2 columns: it must have 5" in line


TEXTS = {
    "nested too deeply": (DEEP.encode(), "it is nested too deeply"),
    "not UTF-8": (b'{"a": "\xff"}', "is not UTF-8 text (invalid start byte at byte 7)"),
    "no JSON": (b"{", "is not JSON"),
    "a list": (b"[]", "holds a list: it must be an object"),
    "null": (b"null", "holds None: it must be an object"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_record_that_is_none_is_refused(capfd, run, case):
    content, message = TEXTS[case]
    (run / "metrics.json").write_bytes(content)
    assert f"run/metrics.json{'' if 'UTF' not in message else ':'} " in refused(
        capfd, "generate", "--run", "run"
    )
    assert message in refused(capfd, "evaluate", "--run", "run")


@pytest.mark.parametrize("case", ["a pipe", "a device", "a folder"])
def test_what_is_no_file_is_not_waited_for(capfd, run, case):
    path = run / "metrics.json"
    path.unlink()
    {"a pipe": os.mkfifo, "a folder": os.mkdir}.get(case, lambda p: os.symlink("/dev/zero", p))(
        path
    )
    assert "it must be a file" in refused(capfd, "generate", "--run", "run")


# Other files that the program wrote.

CLUSTERS = {
    "an Arabic digit": ({"ps": ["127.0.0.1:\u0662\u0662"]}, "as 'ps.0': it must be host:port"),
    "two dots": ({"ps": ["a..b:1"]}, "has 'a..b:1' as 'ps.0': it must be host:port"),
    "a long host": ({"ps": ["a" * 300 + ":1"]}, "as 'ps.0': it must be host:port"),
    "a long label": ({"ps": ["a" * 64 + ".b:1"]}, "as 'ps.0': it must be host:port"),
    "no ASCII": ({"ps": ["\u00e4:1"]}, "as 'ps.0': it must be host:port"),
    "a NUL": ({"ps": ["a\0:1"]}, r"has 'a\x00:1' as 'ps.0'"),
    "10,000 workers": ({"worker": [f"a:{n}" for n in range(1, 10_000)]}, "at most 1000 items"),
    "a task as a list": ({"ps": [["a:1"]]}, "has ['a:1'] as 'ps.0': it must be a text"),
    "a task as an object": ({"ps": {"a": 1}}, "has {'a': 1} as 'ps': it must be a list"),
    "an address twice": ({"ps": ["a:1"], "worker": ["a:1"]}, "has the address 'a:1' twice"),
    "a name besides": ({"x": 1}, "has 'x': it may have format_version, ps, worker"),
    "a later version": ({"format_version": 2}, "has 2 as 'format_version'"),
}
TASK = ["--cluster", "c.json", "--job", "ps", "--task", "0", "--out", "o"]


@pytest.mark.parametrize("case", CLUSTERS)
def test_a_cluster_file_is_refused(capfd, case):
    content, message = CLUSTERS[case]
    Path("c.json").write_text(json.dumps({"ps": ["p:1"], "worker": ["w:1"], **content}))
    assert message in refused(capfd, *TRAIN, *TASK)


@pytest.mark.parametrize("case", TEXTS)
def test_a_cluster_file_that_is_none_is_refused(capfd, case):
    content, message = TEXTS[case]
    Path("c.json").write_bytes(content)
    assert message in refused(capfd, *TRAIN, *TASK)


def test_a_cluster_file_that_is_a_pipe_is_not_waited_for(capfd):
    os.mkfifo("c.json")
    assert "c.json: is no regular file; it must be a file" in refused(capfd, *TRAIN, *TASK)


RESULTS = {
    **TEXTS,
    "runs as a text": (b'{"runs": "x"}', "has 'x' as 'runs': it must be a list"),
    "a run as a list": (b'{"runs": [[]]}', "has [] as 'runs.0': it must be an object"),
    "a run without anything": (b'{"runs": [{}]}', "posts.json lacks 'runs.0.model'"),
    "no runs": (b'{"command": "x"}', "posts.json lacks 'runs'"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_results_file_is_refused_by_tables(capfd, case):
    content, message = RESULTS[case]
    Path("results").mkdir()
    Path("results/posts.json").write_bytes(content)
    page = "<!-- table: conditional-vae -->\n<!-- end of table -->\n"
    Path("page.md").write_text(page)
    assert message in refused(capfd, "tables", "--pages", "page.md")
    assert Path("page.md").read_text() == page


STUDIES = {
    **TEXTS,
    "runs as a text": (b'{"runs": "x"}', "has 'x' as 'runs': it must be a list"),
    "a run without anything": (b'{"runs": [{}]}', "posts.json lacks 'runs.0.model'"),
    "no runs": (b"{}", "lacks 'runs'"),
}


@pytest.mark.parametrize("case", STUDIES)
def test_a_results_file_is_refused_by_a_study(capfd, case):
    content, message = STUDIES[case]
    Path("posts.json").write_bytes(content)
    words = ["posts", "--data", "sample", "--runs", "runs", "--out", "posts.json"]
    assert message in refused(capfd, *words)
    assert Path("posts.json").read_bytes() == content


def test_a_page_that_is_no_text_is_refused(capfd):
    Path("results").mkdir()
    Path("results/posts.json").write_text('{"runs": []}')
    Path("page.md").write_bytes(b"\xff")
    assert "page.md: is not UTF-8 text" in refused(capfd, "tables", "--pages", "page.md")


START = {"metadata": {}, "nbformat": 4, "nbformat_minor": 5}
NOTEBOOKS = {
    **TEXTS,
    "cells as a text": (json.dumps({**START, "cells": "x"}).encode(), "has 'x' as 'cells'"),
    "a cell as a number": (json.dumps({**START, "cells": [1]}).encode(), "has 1 as 'cells.0'"),
    "a cell without source": (
        json.dumps({**START, "cells": [{"cell_type": "code"}]}).encode(),
        "is no notebook that can be read",
    ),
    "a later version": (
        json.dumps({**START, "nbformat": 99, "cells": []}).encode(),
        "has 99 as 'nbformat'",
    ),
    "an unknown kernel": (
        json.dumps(
            {
                **START,
                "cells": [],
                "metadata": {"kernelspec": {"name": "zz", "display_name": "zz"}},
            }
        ).encode(),
        "asks for the kernel 'zz', which is not installed",
    ),
}


@pytest.mark.parametrize("case", NOTEBOOKS)
def test_a_notebook_is_refused(capfd, case):
    content, message = NOTEBOOKS[case]
    Path("n.ipynb").write_bytes(content)
    capfd.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["notebooks", "n.ipynb"])
    error = capfd.readouterr().err.splitlines()
    assert (caught.value.code, len(error)) == (2, 1 + error[0].startswith("Executing"))
    assert message in error[-1]
    assert Path("n.ipynb").read_bytes() == content


# A checkpoint, edited by hand, its checksums made anew.


def resave(checkpoint, **changes):
    with np.load(checkpoint / "state.npz") as arrays:
        state = dict(arrays)
    np.savez(checkpoint / "state.npz", **{**state, **changes})
    rewrite_manifest(checkpoint)


def rewrite_manifest(checkpoint):
    from moe_vae.training.checkpoints import _sha256

    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, stored in manifest["files"].items():
        path = checkpoint / name
        stored |= {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def with_values(checkpoint, **changes):
    with np.load(checkpoint / "state.npz") as arrays:
        values = json.loads(arrays["values"].item())
    resave(checkpoint, values=json.dumps({**values, **changes}))


STATES = {
    "an order out of range": (
        lambda path: resave(path, order=np.full(25_000, 10**6)),
        "has 25000 rows as 'order': it must be each of the 25000 rows once",
    ),
    "an order of fractions": (lambda path: resave(path, order=np.zeros(3)), "as 'order'"),
    "a short key": (
        lambda path: resave(path, generator_key=np.zeros(3, np.uint32)),
        "has uint32 [3] as 'generator_key': it must be uint32 [624]",
    ),
    "objects": (
        lambda path: resave(path, samples=np.array([None])),
        "holds Python objects, which are never unpickled",
    ),
    "values that are no text": (lambda path: resave(path, values=1), "it must be one text"),
    "values nested too deeply": (lambda path: resave(path, values=DEEP), "nested too deeply"),
    "an unknown phase": (lambda path: with_values(path, epochs_done={"x": 1}), "'epochs_done'"),
    "a text as draws": (lambda path: with_values(path, draws="x"), "has 'x' as 'draws'"),
    "a negative place": (lambda path: with_values(path, position=-1), "has -1 as 'position'"),
    "a place beyond": (lambda path: with_values(path, position=10**9), "as 'position'"),
    "a foreign generator": (
        lambda path: with_values(path, generator=["PCG64", 1, 2, 3.0]),
        "has 'PCG64' as 'generator.0'",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_an_edited_state_is_refused(capfd, run, case):
    change, message = STATES[case]
    change(run / "checkpoints" / "epoch-000001")
    line = refused(capfd, *TRAIN, "--resume", "--out", "run")
    assert "state.npz" in line
    assert message in line


MANIFESTS = {
    **TEXTS,
    "no files": (b"{}", "lacks 'model'"),
    "a path out of the directory": (None, "'files.../../x"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_an_edited_manifest_is_damage(capfd, run, case):
    content, message = MANIFESTS[case]
    path = run / "checkpoints" / "epoch-000001" / "manifest.json"
    if content is None:
        manifest = json.loads(path.read_text())
        manifest["files"]["../../x"] = manifest["files"]["state.npz"]
        content = json.dumps(manifest).encode()
    path.write_bytes(content)
    line = refused(capfd, *TRAIN, "--resume", "--out", "run")
    assert "all checkpoints are damaged" in line
    assert message in line


# Pictures and data.


def png(width, height):
    """The smallest PNG that claims a size."""

    def chunk(kind, data):
        content = kind + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [12_000, 20_000])
def test_a_picture_of_too_many_pixels_is_refused(capfd, side):
    Path("big.png").write_bytes(png(side, side))
    line = refused(capfd, "classify", "big.png", "--pretrained", "conditional-vae")
    assert "big.png: has too many pixels" in line


def test_pipes_among_data_are_not_waited_for(capfd):
    Path("idx").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        os.mkfifo(f"idx/{name}-ubyte")
    Path("pictures").mkdir()
    os.mkfifo("pictures/a.png")
    Image.new("L", (8, 8)).save("pictures/b.png")
    os.mkfifo("pipe.npz")
    os.mkfifo("pipe.csv")
    for data in ("./idx/train-images-idx3-ubyte", "./pictures", "./pipe.npz", "./pipe.csv"):
        line = refused(capfd, "train", "vae", "--data", data, "--out", "o")
        assert "is no regular file; it must be a file" in line
    words = ["train", "vae", "--data", "mnist", "--data-dir", "idx", "--out", "o"]
    assert "is no regular file; it must be a file" in refused(capfd, *words)


def test_a_gzipped_file_is_read_no_further_than_its_header_promises(capfd):
    Path("idx").mkdir()
    with gzip.open("idx/train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">BBBBI", 0, 0, 8, 1, 10))
        for _ in range(64):
            file.write(bytes(1 << 20))
    line = refused(capfd, "train", "vae", "--data", "./idx", "--out", "o")
    assert "holds more than 18 bytes, but its header promises shape [10], 18 bytes" in line


def test_a_loss_that_is_no_number_is_told_in_sensible_words(capfd):
    line = refused(capfd, *TRAIN, "--set", "learning_rate=1e30", "--out", "o")
    assert "training cannot continue; lower the learning_rate, which is 1e+30" in line
