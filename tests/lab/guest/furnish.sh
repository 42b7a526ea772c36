#!/bin/sh
# furnish.sh ROOT SOURCE WHEELS: what the lab's Debian has beyond its packages. Run by mmdebstrap, outside the chroot.
set -eu
root=$1 source=$2 wheels=$3

mkdir -p "$root/opt/lab" "$root/mnt/plug"
cp "$source/agent.py" "$root/opt/lab/"
cp "$source/proa-lab.service" "$root/etc/systemd/system/"
cp -r "$wheels" "$root/opt/lab/wheels"
chroot "$root" python3 -m venv /opt/lab/venv
chroot "$root" sh -c '/opt/lab/venv/bin/python -m pip --quiet --disable-pip-version-check install \
    --no-index --no-deps --require-hashes --find-links /opt/lab/wheels -r /opt/lab/wheels/requirements.txt'
rm -r "$root/opt/lab/wheels"

echo lab >"$root/etc/hostname"
printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
# an ordinary user; useradd gives it subordinate ids
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash u
grep -q '^u:' "$root/etc/subuid" && grep -q '^u:' "$root/etc/subgid"
# not the first boot: presets are as the packages left them
chroot "$root" systemd-machine-id-setup
chroot "$root" systemctl --quiet enable proa-lab.service
# there is no network to look for news in, and no reader of mail or manuals
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-timesyncd.service networking.service getty@tty1.service \
    serial-getty@ttyS0.service systemd-firstboot.service podman-auto-update.timer podman-auto-update.service \
    podman-restart.service podman.service podman.socket
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"
