#!/bin/sh
# Makes /opt/venv from a lock file, with all files that a first start would otherwise have to make.
# usage: install.sh LOCK
set -eu
lock=$1

# pip goes into an environment of its own, which is not copied into the image.
python3 -m venv /opt/installer
python3 -m venv --without-pip /opt/venv

# Wheels only, so that no stage needs a compiler.
/opt/installer/bin/pip --python /opt/venv/bin/python install \
  --disable-pip-version-check --no-cache-dir --no-compile --no-deps \
  --only-binary=:all: --require-hashes --requirement "$lock"
/opt/installer/bin/pip --python /opt/venv/bin/python check --disable-pip-version-check

# The package itself is in another layer.
packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo /opt/moe_vae > "$packages/moe_vae.pth"

# Matplotlib's list of fonts. Matplotlib writes to the same folder, as any user.
mkdir /opt/matplotlib
MPLCONFIGDIR=/opt/matplotlib /opt/venv/bin/python -c 'import matplotlib.font_manager'
chmod -R a+rX /opt/matplotlib
chmod 1777 /opt/matplotlib

# Bytecode is never checked against the sources, because copying may change their times.
/opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"
