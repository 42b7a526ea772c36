"""The OCI runtime specification's config.json as types (v1.2), as far as Proa uses it.

Seen by the type checker only: at run time a spec is plain JSON, checked once by ``runtime.validate``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    class Mount(TypedDict):
        """mount(8) as a value: rootfs and volumes emit it, hulls consume it. ``destination`` is absolute inside the
        root (or, in Bundle.root, absolute on the host)."""

        destination: str
        type: NotRequired[str]
        source: NotRequired[str]
        options: NotRequired[list[str]]

    class Root(TypedDict):
        path: str
        readonly: NotRequired[bool]

    class User(TypedDict):
        """Numbers, or (ours) ``username``: Docker's USER text, looked up inside the root by init."""

        uid: int
        gid: int
        umask: NotRequired[int]
        additionalGids: NotRequired[list[int]]
        username: NotRequired[str]

    class ConsoleSize(TypedDict):
        height: int
        width: int

    class Capabilities(TypedDict, total=False):
        bounding: list[str]
        effective: list[str]
        inheritable: list[str]
        permitted: list[str]
        ambient: list[str]

    class Rlimit(TypedDict):
        type: str
        soft: int
        hard: int

    class Process(TypedDict):
        args: list[str]
        cwd: str
        user: User
        env: NotRequired[list[str]]
        terminal: NotRequired[bool]
        consoleSize: NotRequired[ConsoleSize]
        capabilities: NotRequired[Capabilities]
        rlimits: NotRequired[list[Rlimit]]
        noNewPrivileges: NotRequired[bool]
        oomScoreAdj: NotRequired[int]

    class Namespace(TypedDict):
        type: str
        path: NotRequired[str]

    class IdMapping(TypedDict):
        containerID: int
        hostID: int
        size: int

    class Device(TypedDict):
        type: str
        path: str
        major: NotRequired[int]
        minor: NotRequired[int]
        fileMode: NotRequired[int]
        uid: NotRequired[int]
        gid: NotRequired[int]

    class DeviceRule(TypedDict):
        allow: bool
        type: NotRequired[str]
        major: NotRequired[int]
        minor: NotRequired[int]
        access: NotRequired[str]

    class Memory(TypedDict, total=False):
        limit: int
        swap: int
        reservation: int

    class Cpu(TypedDict, total=False):
        quota: int
        period: int
        shares: int
        cpus: str

    class Pids(TypedDict):
        limit: int

    class Resources(TypedDict, total=False):
        memory: Memory
        cpu: Cpu
        pids: Pids
        devices: list[DeviceRule]

    class Linux(TypedDict, total=False):
        namespaces: list[Namespace]
        uidMappings: list[IdMapping]
        gidMappings: list[IdMapping]
        devices: list[Device]
        cgroupsPath: str
        resources: Resources
        maskedPaths: list[str]
        readonlyPaths: list[str]
        rootfsPropagation: str
        sysctl: dict[str, str]

    class Spec(TypedDict):
        ociVersion: str
        process: Process
        root: Root
        hostname: NotRequired[str]
        domainname: NotRequired[str]
        mounts: NotRequired[list[Mount]]
        linux: NotRequired[Linux]
        annotations: NotRequired[dict[str, str]]
