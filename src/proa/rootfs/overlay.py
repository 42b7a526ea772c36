"""Rootfs of form "mounts": the layers' trees below, the container's own directory above, as one overlay Mount.

Below all layers lies one of ours with what every container has something mounted on: what an image does not have need
not be made for each container, and nothing of it shows in a container's own layer.

Nothing is mounted here: init mounts it inside its own mount namespace, and no mount of ours is seen on the host.
Options: Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from ..image import removal, unpack
from .contract import Root

if TYPE_CHECKING:
    from ..image.store import ImageRecord
    from ..oci.runtime import Mount
    from ..places import Places


class Overlay:
    """The contract's form "mounts" (rootfs.contract.Rootfs)."""

    form: Literal["mounts"] = "mounts"

    def __init__(self, places: Places) -> None:
        self._places = places

    def unpack(self, record: ImageRecord) -> list[str]:
        """The layers' trees, lowest first."""
        return [_bottom(f"{self._places.state}/mountpoints"), *unpack.trees(self._places, record)]

    def prepare(self, directory: str, base: list[str], *, volatile: bool = False) -> Root:
        """upper/ and work/ in ``directory``, and the overlay that joins them with ``base``."""
        return prepare(directory, base, volatile=volatile)

    def remove(self, directory: str) -> None:
        """Remove ``directory``."""
        removal.remove(directory)


def prepare(directory: str, layers: list[str], *, volatile: bool = False) -> Root:
    """See Overlay.prepare; ``layers`` lowest first. ``volatile``: no sync, and after a crash never mounted again."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _upper(directory + "/upper", layers[-1])
    work = directory + "/work"
    if volatile and os.path.exists(work):
        removal.remove(work)  # a mark that a volatile overlay leaves there refuses the next mount
    _mkdir(work)
    options = [
        "lowerdir=" + ":".join(_escaped(layer) for layer in reversed(layers)),
        "upperdir=" + _escaped(directory + "/upper"),
        "workdir=" + _escaped(work),
    ]
    if volatile:
        options.append("volatile")
    mount: Mount = {
        "destination": work,  # in init's mount namespace alone, where nobody looks for what it hides
        "type": "overlay",
        "source": "overlay",
        "options": options,
    }
    return Root([mount], [])


def _bottom(path: str) -> str:
    """The lowest layer, made where it is missing."""
    for name in ("", "/dev", "/etc", "/proc", "/sys"):
        _mkdir(path + name)
    for name in ("hostname", "hosts", "resolv.conf"):
        os.close(os.open(f"{path}/etc/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return path


def _upper(upper: str, top: str) -> None:
    """The upper directory is what a container sees as ``/``: it gets the image's owner and mode, once."""
    if not _mkdir(upper):
        return
    wanted = os.stat(top, follow_symlinks=False)
    if (wanted.st_uid, wanted.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(upper, wanted.st_uid, wanted.st_gid)
    os.chmod(upper, wanted.st_mode & 0o7777)


def _mkdir(path: str) -> bool:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    return True


def _escaped(path: str) -> str:
    """A path as overlayfs' option parser wants it: it splits at commas and colons."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
