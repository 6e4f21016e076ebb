#!/bin/sh
# Makes /opt/venv of a lock file, with everything in it that a first start would otherwise make.
# usage: install.sh LOCK
set -eu
lock=$1

# pip stays in an environment that the image does not take over.
python3 -m venv /opt/installer
python3 -m venv --without-pip /opt/venv

# Wheels only: nothing is compiled, so no stage needs a compiler.
/opt/installer/bin/pip --python /opt/venv/bin/python install \
  --disable-pip-version-check --no-cache-dir --no-compile --no-deps \
  --only-binary=:all: --require-hashes --requirement "$lock"
/opt/installer/bin/pip --python /opt/venv/bin/python check --disable-pip-version-check

# The package itself is in a layer of its own.
packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo /opt/moe_vae > "$packages/moe_vae.pth"

# Matplotlib's list of fonts; it has to be able to write beside it, whoever runs it.
mkdir /opt/matplotlib
MPLCONFIGDIR=/opt/matplotlib /opt/venv/bin/python -c 'import matplotlib.font_manager'
chmod -R a+rX /opt/matplotlib
chmod 1777 /opt/matplotlib

# Bytecode that is never checked against the sources, because copying may change their times.
/opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"
