# What build_without_docker.sh and check_with_docker.sh have in common; both read this file. It makes
# on this machine what a build otherwise downloads: a base image, and the packages.
# shellcheck shell=bash
PYTHON=${PYTHON:-python3}

stop() { # stop MESSAGE
  echo "$(basename "$0"): $1" >&2
  exit 1
}

step() { # step TEXT: prints a heading with the seconds since the start
  printf '== %5d s  %s\n' "$SECONDS" "$1"
}

need_tools() { # need_tools NAME...: each is a Debian package that has a program of its name
  local tool
  for tool in "$@"; do
    command -v "$tool" > /dev/null || stop "$tool is missing: apt-get install $tool"
  done
}

need_python() {
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    stop "$PYTHON is not Python 3.11, the version in the image"
}

make_base() { # make_base FOLDER: writes FOLDER/base.tar, Debian 12, whose Python is 3.11
  [ ! -e "$1/base.tar" ] || return 0
  step "the base image, by debootstrap"
  rm -rf "$1/base"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    bookworm "$1/base" > "$1/debootstrap.log"
  tar -C "$1/base" --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
    --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' -cf "$1/base.new" .
  rm -rf "$1/base"
  mv "$1/base.new" "$1/base.tar"
}

# This machine's pip downloads them, so that its settings (mirrors, certificates, proxies) stay out
# of the image; the build checks them against the same hashes.
fetch_packages() { # fetch_packages FOLDER LOCK...
  local lock
  for lock in "${@:2}"; do
    step "the packages of docker/lock-$lock.txt"
    "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --require-hashes --requirement "docker/lock-$lock.txt" --dest "$1"
  done
}
