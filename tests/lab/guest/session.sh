#!/bin/sh
# session.sh: run inside, once a wheel, before the session is saved: it is installed, and what every test file loads is
# loaded once, so that no file pays for it again.
set -eu
cd /mnt/plug
bin=/opt/lab/venv/bin

$bin/python -m pip --quiet --disable-pip-version-check install --no-index --no-deps dist/proa-*.whl
# the first engine of all is slow, and a client waits for it only so long
export PROA_ROOT=/tmp/warm
for try in 1 2 3; do
    if $bin/proa info >/dev/null 2>/tmp/warm.log; then break; fi
done
$bin/proa engine stop
unset PROA_ROOT
rm -r /tmp/warm
$bin/python -m pytest -q -p no:cacheprovider tests/lab/inside/test_smoke.py
