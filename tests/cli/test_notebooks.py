import sys

import pytest

from moe_vae.cli.main import main


@pytest.mark.parametrize("name", ["nbformat", "nbclient"])
def test_missing_extra_is_named_with_its_cure(tmp_path, monkeypatch, capsys, name):
    notebook = tmp_path / "a.ipynb"
    notebook.write_text("{}")
    monkeypatch.setitem(sys.modules, name, None)  # an import of it fails as if it were not there
    with pytest.raises(SystemExit) as caught:
        main(["notebooks", str(notebook)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(
        f"error: notebooks need {name}, which is not installed: pip install 'moe_vae[notebooks]'\n"
    )
