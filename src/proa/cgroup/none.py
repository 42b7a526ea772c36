"""Cgroup where none may be made: limits are refused, and a container is ended by the end of its process 1."""

import errno

from .contract import Cgroup, need_positive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..oci.runtime import Resources


class Nothing(Cgroup):
    """See the contract."""

    def create(self, resources: "Resources") -> None:
        """See the contract."""
        self.update(resources)

    def join(self, pid: int) -> None:
        """See the contract."""

    def update(self, resources: "Resources") -> None:
        """See the contract."""
        if need_positive(resources):
            raise OSError(errno.EOPNOTSUPP, "no cgroup can be made on this host, so nothing can be limited")

    def freeze(self, frozen: bool) -> None:
        """See the contract."""
        raise OSError(errno.EOPNOTSUPP, "no cgroup can be made on this host, so nothing can be frozen")

    def kill(self) -> bool:
        """See the contract."""
        return False

    def pids(self) -> "list[int]":
        """See the contract."""
        return []

    def remove(self) -> None:
        """See the contract."""
