#!/usr/bin/env bash
# Writes lock-cpu.txt and lock-gpu.txt: every package, direct or indirect, with its version and its
# hashes. Packages in the files keep their versions as long as requirements.txt allows it.
#
# usage: docker/lock.sh [--upgrade]    --upgrade uses the newest versions that are allowed
set -euo pipefail
cd "$(dirname "$0")/.."
UV=uv==0.13.8

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check "$UV"

# uv ignores pip's settings and mirrors and writes no address, so the files are the same anywhere.
lock() {
  "$tools/bin/uv" --no-config pip compile "${@:2}" --output-file "$1" --quiet \
    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --only-binary :all: --no-emit-index-url --custom-compile-command "make lock"
}
lock docker/lock-cpu.txt requirements.txt "$@"
lock docker/lock-gpu.txt requirements.txt docker/gpu.in "$@"
