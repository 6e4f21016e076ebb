# JupyterLab in the container. It reads its token from JUPYTER_TOKEN or makes a random one.
c = get_config()  # noqa: F821, JupyterLab defines it before it runs this file

# Docker's port forwarding needs all addresses of the container. The host's address is up to
# `docker run -p` and compose.yaml, which use 127.0.0.1.
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0  # no other port is published
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.LabApp.default_url = "/lab/tree/notebooks"

# No requests to other servers.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
