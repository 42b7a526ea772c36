"""Mount options as the OCI specification lists them, told apart: flags, propagation, and what the file system reads."""

from ..linux import mount as m
from ..linux import mounttree as t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SET = {
    "ro": m.MS_RDONLY,
    "nosuid": m.MS_NOSUID,
    "nodev": m.MS_NODEV,
    "noexec": m.MS_NOEXEC,
    "sync": m.MS_SYNCHRONOUS,
    "mand": m.MS_MANDLOCK,
    "dirsync": m.MS_DIRSYNC,
    "nosymfollow": m.MS_NOSYMFOLLOW,
    "noatime": m.MS_NOATIME,
    "nodiratime": m.MS_NODIRATIME,
    "relatime": m.MS_RELATIME,
    "strictatime": m.MS_STRICTATIME,
    "lazytime": m.MS_LAZYTIME,
    "silent": m.MS_SILENT,
    "bind": m.MS_BIND,
    "rbind": m.MS_BIND | m.MS_REC,
}
_CLEAR = {
    "rw": m.MS_RDONLY,
    "suid": m.MS_NOSUID,
    "dev": m.MS_NODEV,
    "exec": m.MS_NOEXEC,
    "async": m.MS_SYNCHRONOUS,
    "nomand": m.MS_MANDLOCK,
    "symfollow": m.MS_NOSYMFOLLOW,
    "atime": m.MS_NOATIME,
    "diratime": m.MS_NODIRATIME,
    "norelatime": m.MS_RELATIME,
    "nostrictatime": m.MS_STRICTATIME,
    "nolazytime": m.MS_LAZYTIME,
    "loud": m.MS_SILENT,
    "defaults": 0,
}
_PROPAGATION = {
    "private": m.MS_PRIVATE,
    "slave": m.MS_SLAVE,
    "shared": m.MS_SHARED,
    "unbindable": m.MS_UNBINDABLE,
}
_ATTRIBUTES = {
    m.MS_RDONLY: t.MOUNT_ATTR_RDONLY,
    m.MS_NOSUID: t.MOUNT_ATTR_NOSUID,
    m.MS_NODEV: t.MOUNT_ATTR_NODEV,
    m.MS_NOEXEC: t.MOUNT_ATTR_NOEXEC,
    m.MS_NOSYMFOLLOW: t.MOUNT_ATTR_NOSYMFOLLOW,
}
_RECURSIVE = {"r" + name: _ATTRIBUTES[bit] for name, bit in _SET.items() if bit in _ATTRIBUTES}
_REFUSED = ("idmap", "ridmap", "remount", "tmpcopyup")


class Options:
    """``flags``: MS_* set; ``cleared``: MS_* asked to be off; ``recursive``: MOUNT_ATTR_* for the whole tree;
    ``propagation``: MS_* of each such option; ``data``: for the file system."""

    __slots__ = ("cleared", "data", "flags", "propagation", "recursive")

    def __init__(self, words: "Iterable[str]") -> None:
        """Raises ValueError for an option that is known and cannot be had."""
        self.flags = self.cleared = self.recursive = 0
        self.propagation: list[int] = []
        data = []
        for word in words:
            if not self._known(word):
                data.append(word)
        self.data = ",".join(data)

    def _known(self, word: str) -> bool:
        if word in _SET:
            self.flags |= _SET[word]
            self.cleared &= ~_SET[word]
        elif word in _CLEAR:
            self.flags &= ~_CLEAR[word]
            self.cleared |= _CLEAR[word]
        elif word in _PROPAGATION:
            self.propagation.append(_PROPAGATION[word])
        elif word[1:] in _PROPAGATION and word[0] == "r":
            self.propagation.append(_PROPAGATION[word[1:]] | m.MS_REC)
        elif word in _RECURSIVE:
            self.recursive |= _RECURSIVE[word]
        elif word in _REFUSED or word.startswith("idmap="):
            raise ValueError(f"mount option {word} is not supported")
        else:
            return False
        return True

    @property
    def attributes(self) -> "tuple[int, int]":
        """The flags that a bind mount can have of its own, as MOUNT_ATTR_* to set and to clear."""
        wanted = cleared = 0
        for flag, attribute in _ATTRIBUTES.items():
            wanted |= attribute if self.flags & flag else 0
            cleared |= attribute if self.cleared & flag else 0
        for flag, value in ((m.MS_NOATIME, t.MOUNT_ATTR_NOATIME), (m.MS_STRICTATIME, t.MOUNT_ATTR_STRICTATIME)):
            if self.flags & flag:
                wanted, cleared = wanted | value, cleared | t.MOUNT_ATTR_ATIME
        return wanted, cleared
