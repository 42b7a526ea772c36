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
_SYSTEM = mount.MS_NODEV | mount.MS_NOSUID | mount.MS_NOEXEC | mount.MS_NOATIME


class Namespace:
    """A mount namespace of another process, held open."""

    def __init__(self, pid: int) -> None:
        self._fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.redirected = False
        """The image's /proc or /sys is a symlink: what is mounted there needs a closer look."""
        self._own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def mount(self, disks: "dict[str, str]", volatile: bool) -> None:
        """Mount both disks and the overlay. Raises OSError."""
        namespaces.setns(self._fd, namespaces.CLONE_NEWNS)
        try:
            _mount(disks, volatile)
            self.redirected = any(os.path.islink(ROOT + top) for top in ("/proc", "/sys"))
        finally:
            namespaces.setns(self._own, namespaces.CLONE_NEWNS)

    def release(self) -> None:
        """Let go: the last one who does unmounts everything, and returns once it is on the disk."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _mount(disks: "dict[str, str]", volatile: bool) -> None:
    mount.mount(disks[SERIALS["root"]], _LOWER, "squashfs", mount.MS_RDONLY | mount.MS_NOATIME)
    mount.mount(disks[SERIALS["upper"]], _UPPER, "ext4", _SYSTEM, "noinit_itable" + (",nobarrier" if volatile else ""))
    _directories()
    options = f"lowerdir={_LOWER},upperdir={_UPPER}/upper,workdir={_UPPER}/work"
    mount.mount("overlay", ROOT, "overlay", 0, options + (",volatile" if volatile else ""))


def _directories() -> None:
    """The first time, the overlay's two directories; the root's owner and mode are the image's."""
    try:
        os.mkdir(f"{_UPPER}/work", 0o700)
        os.mkdir(f"{_UPPER}/upper", 0o755)
    except FileExistsError:
        return
    image = os.stat(_LOWER)
    if image.st_uid or image.st_gid:
        os.chown(f"{_UPPER}/upper", image.st_uid, image.st_gid)
    if image.st_mode & 0o7777 != 0o755:
        os.chmod(f"{_UPPER}/upper", image.st_mode & 0o7777)
