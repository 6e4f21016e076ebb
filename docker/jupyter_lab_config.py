# JupyterLab in the container. It reads its token from the file that JUPYTER_TOKEN_FILE names, or
# from JUPYTER_TOKEN, or makes a random one.
import os
from pathlib import Path

c = get_config()  # noqa: F821, JupyterLab defines it before it runs this file

if token_file := os.environ.get("JUPYTER_TOKEN_FILE"):
    # JupyterLab itself would take the line break at the file's end for a part of the token.
    c.IdentityProvider.token = Path(token_file).read_text().strip()

# Docker's port forwarding needs all addresses of the container. The host's address is up to
# `docker run -p` and compose.yaml, which use 127.0.0.1.
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0  # no other port is published
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.LabApp.default_url = "/lab/tree/notebooks"

# No requests to other servers. The manager of extensions would otherwise ask the package index.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
