"""CONTRIBUTING's checklist for a gate, followed: one class and one entry in `GATES`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.data import spiral
from moe_vae.experiments import sources
from moe_vae.models.gates import GATES, Gate, GateEntry

pytestmark = pytest.mark.process

RESULTS = Path(__file__).parents[2] / "results"
LABEL = "nearest-centre ME"


class NearestCentreGate(Gate):
    """A gate that the project does not know: log g_k(x) = -sharpness |x - m_k|^2 + constant."""

    def __init__(self, params, inputs, shape):
        super().__init__(params, inputs, shape)
        with tf.variable_scope("gate"):
            centres = tf.get_variable("centres", [self.n_clusters, self.n_features])
            squares = tf.math.squared_difference(inputs[:, None, :], centres)
            logits = -params["sharpness"] * tf.reduce_sum(squares, axis=2)
            self.log_probs = self.predicted_log_probs = tf.nn.log_softmax(logits)


@pytest.fixture
def _registered(monkeypatch):
    entry = GateEntry(NearestCentreGate, {"n_clusters": 10, "sharpness": 0.5}, LABEL)
    monkeypatch.setitem(GATES, "nearest", entry)


@pytest.fixture
def _small_spiral(monkeypatch):
    small = sources.SOURCES["spiral"]._replace(read=lambda _: spiral.make_spiral(0, 40, 10, 20))
    monkeypatch.setitem(sources.SOURCES, "spiral", small)


@pytest.mark.usefixtures("_registered", "_small_spiral")
def test_a_new_gate_trains_is_evaluated_drawn_and_tabulated(tmp_path, capsys):
    run_dir, table = tmp_path / "run", tmp_path / "results" / "table1.json"
    words = ["train", "moe", "--data", "spiral", "--epochs", "3", "--out", str(run_dir)]
    main([*words, "--set", "gate=nearest", "--set", "sharpness=0.1"])
    record = json.loads((run_dir / "metrics.json").read_text())
    assert record["params"]["sharpness"] == 0.1
    assert {path.stem for path in run_dir.glob("*.png")} == {"gate", "losses", "predictions"}

    main(["evaluate", "--data", "spiral", "--run", str(run_dir)])
    evaluation = json.loads((run_dir / "evaluation.json").read_text())
    assert np.isfinite(evaluation["test"]["squared_error"])

    table.parent.mkdir()
    for path in RESULTS.glob("*.json"):
        shutil.copy(path, table.parent)
    table1 = ["table1", "--data", "spiral", "--gates", "nearest", "--outputs", "1", "--draws", "1"]
    main([*table1, "--runs", str(tmp_path / "runs"), "--out", str(table)])
    page = tmp_path / "page.md"
    page.write_text("<!-- table: table1-r2 -->\n<!-- end of table -->\n")
    main(["tables", "--results", str(table.parent), "--pages", str(page)])
    text = page.read_text()
    assert LABEL in text
    assert "nan" not in text

    with pytest.raises(SystemExit):
        main(["train", "moe", "--set", "gate=nearest", "--set", "sharpness=many", "--out", "x"])
    assert "parameter 'sharpness' is 'many': it must be a number" in capsys.readouterr().err
