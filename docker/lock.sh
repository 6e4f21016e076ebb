#!/usr/bin/env bash
# Writes lock-cpu.txt and lock-gpu.txt: every package of the images, direct or indirect, with its
# version and its hashes. pyproject.toml says which packages, requirements.txt which versions; all
# others keep the versions that they have in the files. It needs uv, as `make lock` installs it.
#
# usage: docker/lock.sh [--upgrade]    --upgrade uses the newest versions that are allowed
set -euo pipefail
cd "$(dirname "$0")/.."

# uv ignores pip's settings and mirrors and writes no address, so the files are the same anywhere.
lock() {
  "${UV:-uv}" --no-config pip compile "${@:2}" --output-file "$1" --quiet \
    --extra notebooks --extra export --extra tables --extra large --extra tensorboard --extra test \
    --constraints requirements.txt \
    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --only-binary :all: --no-emit-index-url --custom-compile-command "make lock"
}
lock docker/lock-cpu.txt pyproject.toml "$@"
lock docker/lock-gpu.txt pyproject.toml docker/gpu.in "$@"
