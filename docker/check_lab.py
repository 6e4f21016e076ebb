"""Checks that JupyterLab in a container serves the notebooks with the token and nothing without it.

usage: python check_lab.py COMMAND...

COMMAND starts the container's JupyterLab, whose token is in JUPYTER_TOKEN. build_without_docker.sh
runs this script in a separate network.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SERVER = "http://127.0.0.1:8888"
NOTEBOOKS = sorted(Path(__file__).parent.parent.glob("notebooks/*.ipynb"))
START_SECONDS = 180


def get(path: str, token: str | None = None) -> tuple[int, bytes, str]:
    """Returns the status, the body and the address of the server's answer, also of an error."""
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(SERVER + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.url
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.url


def wait_for_server(process: subprocess.Popen) -> float:
    """Waits until the server answers and returns the seconds that this took.

    Raises:
      RuntimeError: the server ended or did not answer in time.
    """
    begin = time.monotonic()
    while time.monotonic() - begin < START_SECONDS:
        if process.poll() is not None:
            raise RuntimeError(f"JupyterLab ended with code {process.returncode}")
        try:
            get("/api")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
        else:
            return time.monotonic() - begin
    raise RuntimeError(f"JupyterLab does not answer after {START_SECONDS} s")


def expect(
    status: int, path: str, token: str | None = None, shown: str = "no token"
) -> tuple[bytes, str]:
    """Returns the body and the address of the server's answer.

    Raises:
      RuntimeError: the answer has another status.
    """
    got, body, url = get(path, token)
    print(f"{path} with {shown}: {got}")
    if got != status:
        raise RuntimeError(f"{status} was expected")
    return body, url


def sources(notebook: dict) -> list[str]:
    """Returns the text of each cell, which is a list of lines in the file and a string served."""
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def check(token: str) -> None:
    """Checks that each notebook is served with the token, and not without it or with another one.

    Raises:
      RuntimeError: an answer is not as it should be.
    """
    for notebook in NOTEBOOKS:
        path = f"/api/contents/notebooks/{notebook.name}"
        body, _ = expect(200, path, token, "the token")
        served = json.loads(body)
        if sources(served["content"]) != sources(json.loads(notebook.read_text())):
            raise RuntimeError(f"the served {notebook.name} differs from the repository's")
        expect(403, path)
        expect(403, path, token + "x", "a wrong token")
        expect(403, path + "?token=", shown="an empty token")
    _, url = expect(200, "/", token, "the token")
    if not url.endswith("/lab/tree/notebooks"):
        raise RuntimeError(f"JupyterLab opens {url} and not the notebooks")
    expect(403, "/api/kernels")


def main(command: list[str]) -> None:
    process = subprocess.Popen(command)
    try:
        print(f"JupyterLab answers after {wait_for_server(process):.0f} s.")
        check(os.environ["JUPYTER_TOKEN"])
    finally:
        process.terminate()
        process.wait(timeout=60)


if __name__ == "__main__":
    main(sys.argv[1:])
