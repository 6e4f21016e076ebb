#!/bin/sh
# The container's first process.
#
#   lab [JupyterLab's options]     JupyterLab, on port 8888 of the container; the default
#   COMMAND [its options]          python -m moe_vae COMMAND
#
# Either way it says first, in one line on standard error, which devices TensorFlow sees.
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

# JupyterLab takes an empty token for "let everyone in". Unset, it makes a random one.
if [ -n "${JUPYTER_TOKEN+set}" ] && [ -z "$(printf %s "$JUPYTER_TOKEN" | tr -d '[:space:]')" ]; then
  refuse "JUPYTER_TOKEN is empty: leave it unset, for a random one in the log, or set a real one"
fi
[ -z "${JUPYTER_TOKEN_FILE+set}" ] || refuse "JUPYTER_TOKEN_FILE is not read: set JUPYTER_TOKEN"
for word in "$@"; do
  case $word in
    --*token*|--*password*) refuse "$word: the token is set by the variable JUPYTER_TOKEN, and only so" ;;
    --port*|--*.port|--*.port=*) refuse "$word: inside the container it is 8888; publish that as another port" ;;
  esac
done

for folder in notebooks runs; do
  [ ! -d "$folder" ] || [ -w "$folder" ] || echo "moe_vae: user $(id -u) cannot write to" \
    "$PWD/$folder, so nothing is saved there: start the container as the folder's owner" >&2
done

# The health check asks JupyterLab only where there is to be one.
touch "${TMPDIR:-/tmp}/moe_vae_lab"
python "$here/report_devices.py"
exec jupyter lab "$@"
