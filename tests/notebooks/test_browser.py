"""The notebooks as a reader sees them: JupyterLab in a real browser, all cells run, quick mode.

Debian's packages chromium and chromium-driver are needed. Screenshots go to screenshots/.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import chromium
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from test_notebooks import N_FIGURES, NOTEBOOKS

pytestmark = pytest.mark.browser

ROOT = NOTEBOOKS.parent
START_SECONDS = 120
RUN_SECONDS = 600
WIDTH = 1300
SETTINGS = {
    # Every cell is on the page, and not only those in view.
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    # No question about news on the screenshots.
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"},
}
CODE_CELLS = ".jp-Notebook .jp-CodeCell"
# What the page shows of every code cell: its prompt, its error and its message on standard error.
READ_CELLS = """
return [...document.querySelectorAll(arguments[0])].map(cell => ({
  prompt: cell.querySelector('.jp-InputPrompt').textContent,
  errors: [...cell.querySelectorAll(
    '[data-mime-type="application/vnd.jupyter.error"], ' +
    '[data-mime-type="application/vnd.jupyter.stderr"]')].map(output => output.textContent),
  figures: [...cell.querySelectorAll('.jp-OutputArea-output img')].map(
    image => [image.complete, image.naturalWidth, image.getBoundingClientRect().width]),
}));
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_server(process, url, log):
    begin = time.monotonic()
    while time.monotonic() - begin < START_SECONDS:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on copies of the notebooks, with no settings but ours: its address and token."""
    directory = tmp_path_factory.mktemp("lab")
    for name in N_FIGURES:
        shutil.copy(NOTEBOOKS / name, directory)
    settings = directory / "settings"
    for path, content in SETTINGS.items():
        (settings / path).parent.mkdir(parents=True)
        (settings / path).write_text(json.dumps(content))
    token, port = secrets.token_hex(16), free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")},
        "MOE_VAE_QUICK": "1",
        "PYTHONPATH": str(ROOT),
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **{
            f"{name}_DIR": str(directory / name.lower())
            for name in ("JUPYTER_CONFIG", "JUPYTER_DATA", "JUPYTER_RUNTIME", "IPYTHON")
        },
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
    }
    words = [
        "--allow-root",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={directory}",
    ]
    log = directory / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *words],
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_server(process, f"{url}/api", log)
        yield url, token
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def browser(tmp_path):
    with chromium.started(tmp_path / "profile") as driver:
        driver.set_window_size(WIDTH, 1000)
        yield driver


def click(browser, selector, text=""):
    """Clicks, as soon as it is there, the first element that is shown and has this text."""

    def shown(driver):
        for element in driver.find_elements(By.CSS_SELECTOR, selector):
            if element.is_displayed() and element.text.startswith(text):
                return element
        return None

    WebDriverWait(browser, 60).until(shown).click()


def wait_for_kernel(browser):
    idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
    WebDriverWait(browser, START_SECONDS).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, idle)
    )


def cells(browser):
    return browser.execute_script(READ_CELLS, CODE_CELLS)


def all_ran(browser):
    """The cells, once each has run or one has failed; else None."""
    shown = cells(browser)
    ended = [cell["prompt"].strip("[]:").isdigit() for cell in shown]
    return shown if all(ended) or any(cell["errors"] for cell in shown) else None


def take_screenshot(browser, path):
    """Of the whole notebook: the window is made as high as all of it."""
    height = browser.execute_script(
        "return Math.max(...[...document.querySelectorAll("
        "'.jp-WindowedPanel-outer, .jp-Notebook')].map(panel => panel.scrollHeight))"
    )
    browser.set_window_size(WIDTH, height + 200)
    browser.execute_script(
        "document.querySelectorAll('.jp-WindowedPanel-outer').forEach(p => p.scrollTo(0, 0))"
    )
    path.parent.mkdir(exist_ok=True)
    assert browser.get_screenshot_as_png().startswith(b"\x89PNG")
    assert browser.save_screenshot(str(path))


def test_every_notebook_is_expected():
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == set(N_FIGURES)


@pytest.mark.parametrize("name", N_FIGURES)
def test_all_cells_run_and_show_every_figure(name, lab, browser):
    url, token = lab
    # A workspace of its own: the same one would open the other notebooks beside it.
    browser.get(f"{url}/lab/workspaces/{Path(name).stem}/tree/{name}?token={token}")
    wait_for_kernel(browser)
    n_code_cells = sum(
        cell["cell_type"] == "code" for cell in json.loads((NOTEBOOKS / name).read_text())["cells"]
    )
    WebDriverWait(browser, 60).until(lambda driver: len(cells(driver)) == n_code_cells)

    # What the notebook brought along would pass for what is to be made now.
    click(browser, ".lm-MenuBar-item", "Edit")
    click(browser, '.lm-Menu-item[data-command="editmenu:clear-all"]')
    WebDriverWait(browser, 60).until(
        lambda driver: not any(cell["figures"] for cell in cells(driver))
    )
    click(browser, ".lm-MenuBar-item", "Run")
    click(browser, '.lm-Menu-item[data-command="runmenu:run-all"]')
    WebDriverWait(browser, RUN_SECONDS, poll_frequency=1).until(all_ran)
    time.sleep(1)  # the last figure may still be on its way to the page
    shown = cells(browser)
    take_screenshot(browser, chromium.SCREENSHOTS / f"{Path(name).stem}.png")

    assert [cell["errors"] for cell in shown if cell["errors"]] == []
    counts = [int(cell["prompt"].strip("[]:")) for cell in shown]
    assert counts == list(range(1, n_code_cells + 1))
    figures = [figure for cell in shown for figure in cell["figures"]]
    assert len(figures) == N_FIGURES[name]
    for complete, natural_width, width in figures:
        assert complete
        assert natural_width > 100
        assert width > 100
