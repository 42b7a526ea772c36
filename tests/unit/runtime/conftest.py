"""Real containers without an engine: the parent's calls, driven by the test itself."""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from proa.linux import clone, namespaces, pidfd
from proa.runtime import defaults, messages, parent

BUSYBOX = "/bin/busybox"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/home/web:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:1000:\nvideo:x:44:other,web\n"
_LINKS = "sh cat ls id sleep true mount touch stty tty ps hostname grep kill readlink stat pwd"


def _missing() -> str:
    if not os.access(BUSYBOX, os.X_OK):
        return f"{BUSYBOX} is not installed"
    try:
        pid, fd = clone.clone(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID)
    except OSError as problem:
        return f"this host makes no namespaces: {problem}"
    if pid == 0:
        os._exit(0)
    pidfd.status(fd, block=True)
    os.close(fd)
    return ""


class Running:
    """A program whose output is read to its end by ``finish``."""

    def __init__(self, init: parent.Init | parent.Program, output: int) -> None:
        self.init = init
        self.output = output

    def line(self) -> bytes:
        """The next line."""
        text = b""
        while not text.endswith(b"\n"):
            byte = os.read(self.output, 1)
            if not byte:
                break
            text += byte
        return text

    def finish(self) -> tuple[int, str]:
        """(status, what it wrote)."""
        text = b""
        while True:
            try:
                data = os.read(self.output, 65536)
            except OSError:
                break  # EIO: the terminal's last user has gone
            if not data:
                break
            text += data
        os.close(self.output)
        status = pidfd.status(self.init.pidfd, block=True)
        os.close(self.init.pidfd)
        assert status is not None
        return status, text.decode("utf-8", "surrogateescape")


class Box:
    """Makes containers over one image root; each has an overlay of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.image = directory / "image"
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
            (self.image / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, self.image / "bin/busybox")
        for name in _LINKS.split():
            (self.image / "bin" / name).symlink_to("busybox")
        (self.image / "etc/passwd").write_text(PASSWD)
        (self.image / "etc/group").write_text(GROUP)
        self.count = 0
        self.at_once = False  # born with the order, a network made before, no waiting for go; or all of them later
        self.share = False  # besides, born in this process's memory where that may be
        self.running: list[Running] = []

    def process(self, args: list[str], **fields: Any) -> Any:
        """An OCI process with Docker's capabilities; ``user`` is a USER text."""
        sets = dict.fromkeys(("bounding", "effective", "permitted"), defaults.CAPABILITIES)
        user = {"uid": 0, "gid": 0, "username": fields.pop("user", "")}
        return {"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": user, "capabilities": sets} | fields

    def spec(self, args: list[str], **fields: Any) -> tuple[Any, Any]:
        """(spec, root mounts)."""
        self.count += 1
        home = self.directory / f"container{self.count}"
        for name in ("upper", "work", "root"):
            (home / name).mkdir(parents=True)
        (home / "upper").chmod(0o755)
        options = [f"lowerdir={self.image}", f"upperdir={home}/upper", f"workdir={home}/work"]
        root = {"type": "overlay", "source": "overlay", "destination": f"{home}/root", "options": options}
        types = ("pid", "mount", "uts", "ipc", "network", "cgroup")
        return {
            "ociVersion": "1.2.0",
            "process": self.process(args, **fields),
            "root": {"path": f"{home}/root"},
            "hostname": "box",
            "mounts": defaults.mounts(0),
            "linux": {
                "namespaces": [{"type": type} for type in types],
                "maskedPaths": defaults.MASKED,
                "readonlyPaths": defaults.READONLY,
            },
        }, [root]

    def start(self, spec: Any, root: Any, *, group: Any = None, before_release: Any = None, **order: Any) -> Running:
        """Launch, configure, release. Raises StartFailure."""
        at_once = self.at_once and before_release is None
        made = messages.order(spec, root, hierarchies=group.hierarchies if group else (), at_once=at_once, **order)
        into, joins = (group.into(), group.joins()) if group else (-1, ())

        def call(fds: Any) -> Any:
            nonlocal init
            if self.at_once:
                network = namespaces.new_network()
                try:
                    share = self.share and before_release is None
                    init = parent.launch(made, fds, joins=joins, into=into, network=network, share=share)
                finally:
                    os.close(network)
            else:
                init = parent.launch_init(parent.clone_flags(spec), into=into)
            return parent.configure(init, made, fds, joins=joins)

        init: Any = None
        master, output = self._streams(bool(spec["process"].get("terminal")), call)
        if before_release:
            before_release(init)
        try:
            parent.release(init)
        except messages.StartFailure:
            os.close(master if master is not None else output)
            raise
        return self._keep(Running(init, output if master is None else master))

    def exec(
        self, beside: Running, args: list[str], *, joins: Any = (), seccomp: bytes = b"", **fields: Any
    ) -> Running:
        """One more program."""
        order = messages.exec_order(self.process(args, **fields), seccomp=seccomp)
        assert isinstance(beside.init, parent.Init)
        program, output = self._streams(
            bool(fields.get("terminal")), lambda fds: parent.start_exec(beside.init, order, fds, joins=joins)
        )
        return self._keep(Running(program, program.master if program.master >= 0 else output))

    def _streams(self, terminal: bool, call: Any) -> Any:
        if terminal:
            return call(()), -1
        reader, writer = os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            return call((null, writer, writer)), reader
        except messages.StartFailure:
            os.close(reader)
            raise
        finally:
            os.close(writer)
            os.close(null)

    def _keep(self, running: Running) -> Running:
        self.running.append(running)
        return running

    def run(self, args: list[str] | str, **fields: Any) -> tuple[int, str]:
        """(status, output) of a program, or of a shell's line."""
        words = ["sh", "-c", args] if isinstance(args, str) else args
        order = {name: fields.pop(name) for name in ("seccomp", "init", "nofile", "group", "may") if name in fields}
        change = fields.pop("change", None)
        spec, root = self.spec(words, **fields)
        if change:
            change(spec)
        return self.start(spec, root, **order).finish()

    def close(self) -> None:
        """End what a failed test has left."""
        for one in self.running:
            try:
                pidfd.signal(one.init.pidfd, signal.SIGKILL)
                pidfd.status(one.init.pidfd, block=True)
            except OSError:
                continue


@pytest.fixture(params=["ordered", "shared", "waiting"])
def box(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A ``Box``, for each of the three ways to launch; skipped where containers cannot be had."""
    missing = _missing()
    if missing:
        pytest.skip(missing)
    made = Box(tmp_path)
    made.at_once = request.param != "waiting"
    made.share = request.param == "shared"
    yield made
    made.close()


@pytest.fixture
def open_box() -> Any:
    """A ``Box`` that every user can reach."""
    missing = _missing()
    if missing:
        pytest.skip(missing)
    directory = Path(tempfile.mkdtemp(prefix="proa-unit-", dir="/tmp"))
    directory.chmod(0o755)
    made = Box(directory)
    yield made
    made.close()
    shutil.rmtree(directory)
