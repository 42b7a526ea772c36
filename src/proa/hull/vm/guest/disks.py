"""The two disks as the program's root: squashfs below, ext4 above, an overlay of both, in init's mount namespace alone.

Process 1 enters init's mount namespace for that, and holds it: so the mounts outlive the program, and go when process 1
lets go of them, written out.
"""

import os

from ....linux import mount, namespaces
from ..port import SERIALS
from ..standard import ROOT

_LOWER = "/run/lower"
_UPPER = "/run/upper"
_OPTIONS = "noinit_itable"
_SYSTEM = mount.MS_NODEV | mount.MS_NOSUID | mount.MS_NOEXEC | mount.MS_NOATIME


class Namespace:
    """A mount namespace of another process, held open."""

    def __init__(self, pid: int) -> None:
        self._fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._ready = False
        self.redirected = False
        """The image's /proc or /sys is a symlink: what is mounted there needs a closer look."""
        self._own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def prepare(self, disks: "dict[str, str]") -> bool:
        """Mount the writable disk read-only, before the machine is saved: whether there is a file system on it.

        Nothing is written to it, neither now nor when it is let go, so that a restored machine may have any disk.
        """
        namespaces.setns(self._fd, namespaces.CLONE_NEWNS)
        try:
            mount.mount(disks[SERIALS["upper"]], _UPPER, "ext4", _SYSTEM | mount.MS_RDONLY, _OPTIONS)
            os.stat(f"{_UPPER}/work")
            os.stat(f"{_UPPER}/upper")
            self._ready = True
        except OSError:
            self._ready = False
        finally:
            namespaces.setns(self._own, namespaces.CLONE_NEWNS)
        return self._ready

    def mount(self, disks: "dict[str, str]", *, volatile: bool, fresh: bool, known: bool) -> None:
        """Mount both disks and the overlay. Raises OSError. See ``port`` for what is said of the writable disk."""
        namespaces.setns(self._fd, namespaces.CLONE_NEWNS)
        try:
            mount.mount(disks[SERIALS["root"]], _LOWER, "squashfs", mount.MS_RDONLY | mount.MS_NOATIME)
            self._writable(disks[SERIALS["upper"]], volatile, known)
            if fresh:
                _directories()
            options = f"lowerdir={_LOWER},upperdir={_UPPER}/upper,workdir={_UPPER}/work"
            mount.mount("overlay", ROOT, "overlay", 0, options + (",volatile" if volatile else ""))
            self.redirected = any(os.path.islink(ROOT + top) for top in ("/proc", "/sys"))
        finally:
            namespaces.setns(self._own, namespaces.CLONE_NEWNS)

    def _writable(self, device: str, volatile: bool, known: bool) -> None:
        options = _OPTIONS + (",nobarrier" if volatile else "")
        if self._ready and known:
            mount.mount("", _UPPER, "", mount.MS_REMOUNT | _SYSTEM, options)
            return
        if self._ready:
            mount.umount(_UPPER)
        mount.mount(device, _UPPER, "ext4", _SYSTEM, options)

    def release(self) -> None:
        """Let go: the last one who does unmounts everything, and returns once it is on the disk."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _directories() -> None:
    """Once: the overlay's two directories, the root's owner and mode those of the image."""
    for name in ("work", "upper"):
        try:
            os.mkdir(f"{_UPPER}/{name}", 0o755)
        except FileExistsError:
            continue
    image = os.stat(_LOWER)
    if image.st_uid or image.st_gid:
        os.chown(f"{_UPPER}/upper", image.st_uid, image.st_gid)
    if image.st_mode & 0o7777 != 0o755:
        os.chmod(f"{_UPPER}/upper", image.st_mode & 0o7777)
