"""Every form of every model returns what the model's own methods return."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from signature_cases import (
    CASES,
    build_and_params,
    expected_output,
    shape_of,
    some_inputs,
    some_variables,
)

from moe_vae.export.frozen import OUTPUTS, build_model, compute, freeze
from moe_vae.export.model_file import ModelFile, read_model_file, write_model_file
from moe_vae.export.operations import OPERATIONS, list_operations
from moe_vae.export.runtimes import write_onnx, write_savedmodel
from moe_vae.models.specialists import LabelManager

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SIZES = (1, 7)  # of batches
DESCRIPTION = {"model": "a test's"}

# Run where neither this package nor its set-up of TensorFlow is.
READ_SAVEDMODELS = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf

try:
    import moe_vae
    sys.exit("moe_vae must not be importable here")
except ModuleNotFoundError:
    pass
for directory in sorted(Path(sys.argv[1]).iterdir()):
    signatures = tf.saved_model.load(str(directory / "savedmodel")).signatures
    results = {}
    with np.load(directory / "inputs.npz") as file:
        arrays = dict(file)
    for name in signatures:
        _, specs = signatures[name].structured_input_signature
        for size in (1, 7):
            feed = {each: tf.constant(arrays[f"{size} {each}"]) for each in specs}
            for output, values in signatures[name](**feed).items():
                results[f"{size} {name} {output}"] = values.numpy()
    np.savez(directory / "results.npz", **results)
"""


class Exported:
    """A case's model, its frozen graphs, and what each signature must return by batch size."""

    def __init__(self, case):
        build, params = build_and_params(case)
        variables = some_variables(build, params)
        self.content = ModelFile(CASES[case][0], params, shape_of(case), 0, variables)
        model, session = build_model(build, params, variables)
        self.graphs = freeze(build, params, variables)
        self.arrays = {size: some_inputs(model, size) for size in SIZES}
        self.expected = {
            (size, name): expected_output(model, session, name, self.arrays[size])
            for size in SIZES
            for name in self.graphs
        }
        self.bound = self._bound(model, session)
        session.close()

    def _bound(self, model, session):
        """Returns how far apart probabilities may be.

        Those of the routing by labels are a softmax of losses of hundreds of nats, which single
        precision holds to one part in 2^23, in the model's own graph as well.
        """
        if not isinstance(model, LabelManager):
            return 1e-5
        losses = session.run(model.expert_losses, {model.images: self.arrays[7]["inputs"]})
        return np.finfo(np.float32).eps * np.abs(losses).max()

    def check(self, found):
        """Checks a function of the batch size, a signature and its inputs."""
        for (size, name), expected in self.expected.items():
            feed = {each: self.arrays[size][each] for each in self.graphs[name].inputs}
            values = found(size, name, feed)
            bound = self.bound if name == "route" else 1e-5
            np.testing.assert_allclose(values, expected, rtol=0, atol=bound, err_msg=name)


exported = functools.cache(Exported)
each_case = pytest.mark.parametrize("case", CASES)


def test_a_frozen_graph_returns_what_the_models_method_returns():
    model = exported("conditional-vae")
    model.check(lambda size, name, feed: compute(model.graphs[name], feed))


@functools.cache
def documented():
    """Returns what the program in the documentation defines."""
    page = (ROOT / "docs" / "export.md").read_text()
    (program,) = (
        code
        for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if "def compute" in code
    )
    defined = {}
    exec(program, defined)
    return defined


@each_case
def test_the_documented_program_computes_an_npz_in_numpy(case, tmp_path):
    model, path = exported(case), tmp_path / "model.npz"
    listed = {name: list_operations(graph) for name, graph in model.graphs.items()}
    content = ModelFile(
        *(getattr(model.content, name) for name in ("model", "params", "shape", "seed")),
        model.content.variables,
        signatures={name: operations for name, (operations, _) in listed.items()},
        constants={key: value for _, own in listed.values() for key, value in own.items()},
    )
    write_model_file(path, content)
    model.check(lambda size, name, feed: documented()["compute"](path, name, **feed))
    for signature in read_model_file(path).signatures.values():
        assert {step["op"] for step in signature["operations"]} <= set(OPERATIONS)


def test_the_documented_program_has_every_operation():
    assert sorted(documented()["OPERATIONS"]) == list(OPERATIONS)


def test_the_shapes_in_an_npz_are_those_of_the_results(tmp_path):
    model = exported("specialists")
    arrays = model.arrays[7]
    for graph in model.graphs.values():
        listed, _ = list_operations(graph)
        values = {**model.content.variables, **{each: arrays[each] for each in graph.inputs}}
        for step in listed["operations"]:
            tensors = [values[i] if isinstance(i, str) else np.float32(i) for i in step["inputs"]]
            result = documented()["OPERATIONS"][step["op"]](*tensors, **step["attributes"])
            values[step["output"]] = result
            assert result.shape == tuple(7 if n is None else n for n in step["shape"])


@each_case
def test_onnxruntime_computes_the_onnx_files(case, tmp_path):
    model = exported(case)
    write_onnx(tmp_path / "onnx", model.graphs, DESCRIPTION)
    files = {path.name for path in (tmp_path / "onnx").iterdir()}
    assert files == {"description.json", *(f"{name}.onnx" for name in model.graphs)}
    sessions = {
        name: onnxruntime.InferenceSession(tmp_path / "onnx" / f"{name}.onnx")
        for name in model.graphs
    }
    model.check(lambda size, name, feed: sessions[name].run([OUTPUTS[name]], feed)[0])


def test_tensorflow_alone_loads_the_savedmodels(tmp_path):
    directories = {case: tmp_path / "all" / case for case in CASES}
    for case, directory in directories.items():
        model = exported(case)
        write_savedmodel(directory / "savedmodel", model.graphs, DESCRIPTION)
        arrays = {
            f"{size} {name}": values
            for size in SIZES
            for name, values in model.arrays[size].items()
        }
        np.savez(directory / "inputs.npz", **arrays)
    script = tmp_path / "read.py"
    script.write_text(READ_SAVEDMODELS)
    command = [sys.executable, "-I", "-S", "-c", _without_package(script), str(tmp_path / "all")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for case, directory in directories.items():
        results = np.load(directory / "results.npz")
        exported(case).check(lambda size, name, _, r=results: r[f"{size} {name} {OUTPUTS[name]}"])


def _without_package(script):
    """Returns a program that runs a script with the installed packages but without this one."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return (
        f"import sys; sys.path[:] = {packages!r} + sys.path\n"  # no `.pth` file is read
        f"exec(compile(open({str(script)!r}).read(), 'read.py', 'exec'))"
    )


def test_the_signatures_of_a_savedmodel_share_their_weights(tmp_path):
    model = exported("conditional-vae")
    write_savedmodel(tmp_path / "savedmodel", model.graphs, DESCRIPTION)
    n_bytes = sum(value.nbytes for value in model.content.variables.values())
    assert (tmp_path / "savedmodel" / "saved_model.pb").stat().st_size < n_bytes + 20_000


def test_nothing_is_left_of_an_export_that_fails(tmp_path, monkeypatch):
    model = exported("conditional-vae")
    monkeypatch.setattr("moe_vae.export.runtimes._describe", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_savedmodel(tmp_path / "savedmodel", model.graphs, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []
