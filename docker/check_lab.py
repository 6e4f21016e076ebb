"""Checks JupyterLab in a container: a notebook with the token, and nothing without it.

usage: python check_lab.py COMMAND...

COMMAND starts the container's JupyterLab; the token it is to have is in JUPYTER_TOKEN. For
build_without_docker.sh, which runs this in a network of its own.
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


def get(path, token=None):
    """Returns the status, the body and the address of an answer, whatever the status."""
    headers = {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(SERVER + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), answer.url
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.url


def wait_for_server(process):
    """Waits until the server answers at all; fails if it ended or takes too long."""
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


def expect(status, path, token=None, shown="no token"):
    """Fails unless the server answers with this status; returns the body and its address."""
    got, body, url = get(path, token)
    print(f"{path} with {shown}: {got}")
    if got != status:
        raise RuntimeError(f"{status} was expected")
    return body, url


def sources(notebook):
    """What is in a notebook's cells; in its file as lists of lines, from the server as texts."""
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def check(token):
    """Fetches each notebook with the token, and fails to without it or with another one."""
    for notebook in NOTEBOOKS:
        path = f"/api/contents/notebooks/{notebook.name}"
        body, _ = expect(200, path, token, "the token")
        served = json.loads(body)
        if sources(served["content"]) != sources(json.loads(notebook.read_text())):
            raise RuntimeError(f"{notebook.name} is not served as it is in the repository")
        expect(403, path)
        expect(403, path, token + "x", "a wrong token")
        expect(403, path + "?token=", shown="an empty token")
    _, url = expect(200, "/", token, "the token")
    if not url.endswith("/lab/tree/notebooks"):
        raise RuntimeError(f"JupyterLab opens on {url}, and not on the notebooks")
    expect(403, "/api/kernels")


def main(command):
    process = subprocess.Popen(command)
    try:
        print(f"JupyterLab answers after {wait_for_server(process):.0f} s.")
        check(os.environ["JUPYTER_TOKEN"])
    finally:
        process.terminate()
        process.wait(timeout=60)


if __name__ == "__main__":
    main(sys.argv[1:])
