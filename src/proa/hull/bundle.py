"""Bundle: all that a shim needs to carry one container, made by the engine, sent as a sealed memfd, never changed.

The types are for the checker only: at run time a bundle is plain JSON (the launch path pays for no class).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, NotRequired, TypedDict

    from ..oci.runtime import Mount, Spec

    class Log(TypedDict):
        """Docker's json-file log: ``path``, rotated at ``max_size`` bytes, ``max_file`` files kept."""

        path: str
        max_size: int
        max_file: int

    class Stdio(TypedDict):
        """How the program's three streams are held. ``stdin``: keep it open; else it is /dev/null."""

        terminal: bool
        stdin: bool
        stdin_once: bool
        detach_keys: str
        log: "Log | None"

    class Disk(TypedDict):
        """A block image: ``role`` is "root" (squashfs, read-only) or "upper" (ext4, writable). ``blank``: the empty
        file system that an upper disk is still an exact copy of; ``model``: the one that volatile disks begin as."""

        path: str
        role: Literal["root", "upper"]
        blank: NotRequired[str]
        model: NotRequired[str]

    class File(TypedDict):
        """A small file of the engine's that the program sees at ``destination``: bound there from the host's
        ``source``, or, where there is no host to bind from, made of ``text``."""

        destination: str
        source: str
        text: str
        readonly: bool

    class Cgroup(TypedDict):
        """Where cgroups may be made. ``version`` 0 (none), 1 or 2; ``parent`` is one directory name (or path) of ours
        below each controller's mount point in ``mounts`` ({controller: directory}; for version 2 {"": directory})."""

        version: int
        parent: str
        mounts: dict[str, str]

    class May(TypedDict):
        """What this host lets us do, probed once: never concluded from the uid."""

        mknod: bool
        mount: bool
        cgroup: bool
        setuid: bool

    class Bundle(TypedDict):
        """``id``: 64 hex; ``kind``: which hull; ``engine``: 8 hex of the engine's id; ``directory``
        STATE/containers/ID; ``run`` RUN/containers/ID (state.json, exit); ``socket`` the path a shim listens on;
        ``root``: the mounts, in order, that make spec["root"]["path"] (empty for disks); ``seccomp``: path of a
        compiled BPF program, or ""; ``nofile``: the [soft, hard] limit to restore for programs; ``fds``: names of the
        descriptors that came behind the bundle; ``files``: for the hull to put in place; ``machine``: the VM's part,
        made by the VM hull alone."""

        protocol: int
        id: str
        kind: Literal["container", "vm"]
        engine: str
        directory: str
        run: str
        socket: str
        spec: Spec
        root: list[Mount]
        disks: list[Disk]
        stdio: Stdio
        cgroup: Cgroup
        may: May
        seccomp: str
        init: bool
        nofile: list[int]
        fds: list[str]
        volatile: NotRequired[bool]
        files: NotRequired[list[File]]
        machine: NotRequired[dict[str, Any]]
