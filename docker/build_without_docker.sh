#!/usr/bin/env bash
# Builds an image with buildah, for machines without a Docker engine, and tests it.
#
# usage: docker/build_without_docker.sh [cpu|gpu] [DIRECTORY]
#
# It needs Debian's packages buildah and debootstrap, Python 3.11 with pip, and root. debootstrap
# makes the base image (Debian 12, whose Python is 3.11). This machine's pip downloads the packages,
# so that its settings (mirrors, certificates, proxies) stay out of the image; the build installs
# them from a folder, checked against the same hashes. At the end everything is deleted, the image
# too. If a DIRECTORY is given, all of it stays there, and the next run uses the base image and the
# downloads again. Free disk space: 15 GB for cpu, 45 GB for gpu.
#
# Checks of both images: the settings, and what must not be in the image. Of cpu: `figures` for one
# epoch, run by another user, in a mounted folder; JupyterLab with the token, without one and with a
# wrong one; the quick tests. Of gpu: every pinned NVIDIA library loads, and the missing GPU is
# reported.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-cpu}
image=localhost/moe_vae:$target
base=localhost/moe_vae-base:bookworm
. docker/offline.sh
CALLER=4321 # a user that neither the image nor, most likely, this machine has

[ "$target" = cpu ] || [ "$target" = gpu ] || stop "the target is cpu or gpu, not $target"
[ "$(id -u)" = 0 ] || stop "run it as root: debootstrap and buildah need that"
need_tools buildah debootstrap unshare
command -v ip > /dev/null || stop "ip is missing: apt-get install iproute2"
need_python

if [ $# -ge 2 ]; then
  mkdir -p "$2"
  work=$(cd "$2" && pwd)
else
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/moe_vae-container.XXXXXX")
  trap 'rm -rf "$work"' EXIT
fi
mkdir -p "$work/tmp"
export TMPDIR=$work/tmp BUILDAH_ISOLATION=chroot
buildah=(buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run")

import_base() {
  make_base "$work"
  local container
  container=$("${buildah[@]}" from scratch)
  "${buildah[@]}" add --quiet "$container" "$work/base.tar" / > /dev/null
  "${buildah[@]}" commit --quiet --rm "$container" "$base" > /dev/null
}

build() {
  step "the image $image"
  # In Docker's format, because OCI's has no health check. Only RUN sees the two mounts.
  "${buildah[@]}" build --format docker --pull=never --target "$target" \
    --build-arg "BASE=$base" --build-arg "BASE_NAME=$base" --build-arg "BASE_DIGEST=unknown" \
    --build-arg "REVISION=$(git rev-parse HEAD)" --volume "$work/wheels-$target:/wheels:ro" \
    --volume "$work/pip.conf:/etc/pip.conf:ro" \
    --file docker/Dockerfile --tag "$image" .
}

run() { # run [buildah run's options] -- COMMAND...: in the container, as the image's own user
  "${buildah[@]}" run "$@"
}

check_image() {
  step "the image's settings, and what must not be in it"
  "${buildah[@]}" inspect --type image "$image" | "$PYTHON" -c '
import json, sys
config = json.load(sys.stdin)["Docker"]["config"]
assert config["User"] == "1000:1000", config["User"]
init = ["/opt/venv/bin/dumb-init", "--"]
assert config["Entrypoint"] == [*init, "/opt/moe_vae/docker/entrypoint.sh"], config["Entrypoint"]
assert config["Cmd"] == ["lab"], config["Cmd"]
assert config["Healthcheck"]["Test"][0] == "CMD", config["Healthcheck"]
assert config["Labels"]["org.opencontainers.image.title"] == "moe_vae", config["Labels"]
'
  run "$container" -- sh -c '
    set -eu
    [ "$(id -u)" = 1000 ]
    for tool in gcc cc g++ make git pip pytest ruff; do
      ! command -v $tool || { echo "$tool is in the image"; exit 1; }
    done
    [ ! -s /etc/pip.conf ] && [ ! -e /opt/installer ] && [ -z "$(ls /wheels 2> /dev/null)" ]
    [ ! -e /root/.cache ] && [ ! -e /tmp/home ]
    [ -z "$(find /opt/moe_vae /opt/venv -writable -not -type l)" ]
    for folder in /data /workspace /workspace/notebooks /workspace/runs; do
      [ "$(stat -c %a $folder)" = 1777 ] || { echo "not everyone can write to $folder"; exit 1; }
    done
    [ -n "$(ls /opt/venv/share/matplotlib/fontlist-*.json)" ]
    [ -s /opt/venv/sbom.cdx.json ]
    [ -e /opt/moe_vae/moe_vae/cli/__pycache__/main.cpython-311.pyc ]
    python -m moe_vae --version
    [ -z "$(ls /data)" ] && [ -z "$(ls /workspace/runs)" ]'
  "${buildah[@]}" images --format '{{.Name}}:{{.Tag}} {{.Size}}'
}

check_tests() {
  step "the quick tests, on the package that is installed in the image"
  # Without the package's code: the image has its own.
  mkdir -p "$checks/repository/moe_vae"
  cp -r tests notebooks results docs docker benchmarks ./*.{cff,md,toml,txt,yml} Makefile LICENSE \
    .dockerignore .gitignore "$checks/repository"
  chmod -R a+rX "$checks/repository"
  # Of the tests' own packages the image has none.
  fetch_packages "$work/wheels-test" test
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
    --find-links "$work/wheels-test" --require-hashes --requirement docker/lock-test.txt \
    --target "$checks/packages"
  chmod -R a+rX "$checks/packages"
  run --volume "$checks/repository:/repository:ro" --volume "$checks/packages:/packages:ro" \
    --env PYTHONPATH=/packages --env PYTHONDONTWRITEBYTECODE=1 --env HOME=/tmp \
    --env MOE_VAE_DATA= "$container" -- sh -c '
      cd /repository
      python -c "import moe_vae; assert moe_vae.__file__.startswith(\"/opt/moe_vae/\")"
      python -m pytest -q -p no:cacheprovider -m "not long and not browser and not notebooks"'
}

check_figures() {
  step "figures for one epoch, by user $CALLER in a mounted folder"
  mkdir "$checks/figures"
  chown "$CALLER:$CALLER" "$checks/figures"
  run --user "$CALLER:$CALLER" --volume "$checks/figures:/workspace/figures" "$container" -- \
    "$entrypoint" figures --data sample --epochs 1
  ls "$checks"/figures/*.png > /dev/null
  local others
  others=$(find "$checks/figures" -not -user "$CALLER")
  [ -z "$others" ] || stop "not owned by user $CALLER: $others"
  echo "$(find "$checks/figures" -type f | wc -l) files, all owned by user $CALLER"
}

check_lab() {
  step "JupyterLab"
  local code=0
  run --env JUPYTER_TOKEN= "$container" -- "$entrypoint" lab || code=$?
  [ "$code" != 0 ] || stop "an empty token was not refused"
  # In its own network, because the container listens on all addresses, and in its own process
  # namespace, so that no process stays behind.
  JUPYTER_TOKEN=$("$PYTHON" -c 'import secrets; print(secrets.token_hex(24))')
  export JUPYTER_TOKEN
  unshare --net --pid --fork --kill-child --mount-proc sh -c \
    'ip link set lo up && exec "$@"' sh "$PYTHON" docker/check_lab.py \
    "${buildah[@]}" run --env "JUPYTER_TOKEN=$JUPYTER_TOKEN" "$container" -- \
    "$entrypoint" lab
}

check_gpu() {
  step "every library of every pinned NVIDIA package"
  run --volume "$PWD/docker/lock-gpu.txt:/lock.txt:ro" "$container" -- \
    python /opt/moe_vae/docker/load_nvidia.py /lock.txt
  step "the line on the devices, without a GPU"
  run "$container" -- "$entrypoint" --help > "$checks/help" 2> "$checks/devices"
  cat "$checks/devices"
  [ "$(wc -l < "$checks/devices")" = 1 ] || stop "that is not one line"
}

"${buildah[@]}" images --quiet "$base" > /dev/null 2>&1 || import_base
locks=(build cpu)
[ "$target" = cpu ] || locks+=(gpu)
fetch_packages "$work/wheels-$target" "${locks[@]}"
printf '[global]\nno-index = true\nfind-links = /wheels\n' > "$work/pip.conf"
build
[ $# -ge 2 ] || rm -rf "$work/wheels-$target"

checks=$(mktemp -d "$work/checks.XXXXXX")
chmod 755 "$work" "$checks"
container=$("${buildah[@]}" from --pull-never "$image")
entrypoint=/opt/moe_vae/docker/entrypoint.sh
check_image
if [ "$target" = cpu ]; then
  check_figures
  check_lab
  check_tests
else
  check_gpu
fi
"${buildah[@]}" rm "$container" > /dev/null
rm -rf "$checks"
step "done: $image is built and passed its checks"
