#!/bin/sh
# The container's first process.
#
#   lab [JupyterLab's options]     JupyterLab, on port 8888 of the container; the default
#   COMMAND [its options]          python -m moe_vae COMMAND
#
# Before that, one line on standard error lists the devices that TensorFlow can use.
set -eu
here=$(dirname "$0")

refuse() {
  echo "moe_vae: $1" >&2
  exit 2
}

if [ "${1:-lab}" != lab ]; then
  python "$here/report_devices.py"
  exec python -m moe_vae "$@"
fi
[ $# -eq 0 ] || shift

# With an empty token JupyterLab lets everyone in. If the variable is unset, it makes a random one.
if [ -n "${JUPYTER_TOKEN+set}" ] && [ -z "$(printf %s "$JUPYTER_TOKEN" | tr -d '[:space:]')" ]; then
  refuse "JUPYTER_TOKEN is empty: unset it, for a random token in the log, or set a token"
fi
[ -z "${JUPYTER_TOKEN_FILE+set}" ] || refuse "JUPYTER_TOKEN_FILE is not supported: set JUPYTER_TOKEN"
for word in "$@"; do
  case $word in
    --*token*|--*password*) refuse "$word is not supported: set the variable JUPYTER_TOKEN" ;;
    --port*|--*.port|--*.port=*) refuse "$word is not supported: in the container the port is 8888; publish it as another one" ;;
  esac
done

for folder in notebooks runs; do
  [ ! -d "$folder" ] || [ -w "$folder" ] || echo "moe_vae: user $(id -u) cannot write to" \
    "$PWD/$folder, so nothing can be saved there: start the container as the folder's owner" >&2
done

# The health check asks JupyterLab only if this file exists.
touch "${TMPDIR:-/tmp}/moe_vae_lab"
python "$here/report_devices.py"
exec jupyter lab "$@"
