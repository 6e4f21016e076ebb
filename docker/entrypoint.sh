#!/bin/sh
# What the container's first process starts.
#
#   lab [JupyterLab's options]     JupyterLab, on port 8888 of the container; the default
#   COMMAND [its options]          python -m moe_vae COMMAND
#
# Before that, one line on standard error lists the devices that TensorFlow can use.
set -eu
here=$(dirname "$0")
temporary=${TMPDIR:-/tmp}
fonts=/opt/venv/share/matplotlib

refuse() {
  echo "moe_vae: $1" >&2
  exit 2
}

is_blank() { # is_blank TEXT
  [ -z "$(printf %s "$1" | tr -d '[:space:]')" ]
}

touch "$temporary/moe_vae_begun" 2> /dev/null ||
  refuse "user $(id -u) cannot write to $temporary, which every program needs: with docker run --read-only, add --tmpfs /tmp"
{ mkdir -p "$HOME" && touch "$HOME/.moe_vae"; } 2> /dev/null ||
  refuse "user $(id -u) cannot write to $HOME, the value of HOME: set it to a folder below $temporary"
# Matplotlib would otherwise list the fonts again, which takes seconds.
[ ! -d "$fonts" ] || [ -e "$MPLCONFIGDIR" ] || cp -r "$fonts" "$MPLCONFIGDIR"

if [ "${1:-lab}" != lab ]; then
  python "$here/report_devices.py"
  exec python -m moe_vae "$@"
fi
[ $# -eq 0 ] || shift

# With an empty token JupyterLab lets everyone in. Without the variables it makes a random one.
if [ -n "${JUPYTER_TOKEN_FILE+set}" ]; then
  [ -z "${JUPYTER_TOKEN+set}" ] ||
    refuse "JUPYTER_TOKEN and JUPYTER_TOKEN_FILE are both set: set one of them"
  { [ -f "$JUPYTER_TOKEN_FILE" ] && [ -r "$JUPYTER_TOKEN_FILE" ]; } ||
    refuse "JUPYTER_TOKEN_FILE is '$JUPYTER_TOKEN_FILE': it must be a file in the container that user $(id -u) can read"
  ! is_blank "$(cat "$JUPYTER_TOKEN_FILE")" || refuse "$JUPYTER_TOKEN_FILE, the token's file, is empty"
elif [ -n "${JUPYTER_TOKEN+set}" ] && is_blank "$JUPYTER_TOKEN"; then
  refuse "JUPYTER_TOKEN is empty: unset it, for a random token in the log, or set a token"
fi
for word in "$@"; do
  case $word in
    --*token*|--*password*) refuse "$word is not supported: set JUPYTER_TOKEN_FILE or JUPYTER_TOKEN" ;;
    --port*|--*.port|--*.port=*) refuse "$word is not supported: in the container the port is 8888; publish it as another one" ;;
  esac
done

for folder in notebooks runs; do
  [ ! -d "$folder" ] || [ -w "$folder" ] || echo "moe_vae: user $(id -u) cannot write to" \
    "$PWD/$folder, so nothing can be saved there: start the container as the folder's owner" >&2
done

# The health check asks JupyterLab only if this file exists.
touch "$temporary/moe_vae_lab"
python "$here/report_devices.py"
exec jupyter lab "$@"
