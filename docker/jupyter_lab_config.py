# JupyterLab inside the container. Its token comes from JUPYTER_TOKEN, or it makes a random one.
c = get_config()  # noqa: F821 - JupyterLab defines it where it runs this file

# All addresses of the container, which Docker's port forwarding needs; which of the host's
# addresses lead here is for `docker run -p` or compose.yaml to say: 127.0.0.1 alone.
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0  # another port would not be the published one
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/workspace"
c.LabApp.default_url = "/lab/tree/notebooks"

# Nothing is asked of other servers.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
