import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

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


def test_a_kernel_that_dies_ends_in_one_line(tmp_path, monkeypatch, capsys):
    def die(client):
        del client
        raise DeadKernelError("Kernel died")

    monkeypatch.setattr(NotebookClient, "execute", die)
    notebook = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    before = notebook.read_bytes()
    with pytest.raises(SystemExit) as caught:
        main(["notebooks", str(notebook)])
    assert caught.value.code == 2
    expected = f"error: {notebook}: its kernel died while a cell was executed\n"
    assert capsys.readouterr().err.endswith(expected)
    assert notebook.read_bytes() == before
