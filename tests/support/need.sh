#!/bin/sh
# need.sh PACKAGE…: have these Debian packages here, or say what would help.
set -eu
if ! command -v apt-get >/dev/null; then
    echo "missing: $*. Install it with your system's package manager, then run make again." >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing: $*. Run: sudo apt-get install $*" >&2
    exit 1
fi
echo "installing $*" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
