"""The thin wrappers against this kernel: each one call, and the one door of errors."""

import ctypes
import errno
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.linux import (
    arch,
    argv,
    bpf,
    capability,
    clone,
    close_range,
    execve,
    landlock,
    libc,
    mount,
    namespaces,
    openat2,
    pidfd,
    prctl,
    pty,
    rlimit,
    scm,
    seccomp,
    signals,
)


def in_child(work: Callable[[], None]) -> int:
    """The status of a forked child that works and ends with 0, or 1 for an exception, whose text is shown."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as problem:
            os.write(2, f"in child: {problem!r}\n".encode())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_every_failure_is_an_oserror_with_its_call_and_path() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        mount.umount("/no/such")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "/no/such")
    assert "umount2" in str(caught.value)
    with pytest.raises(OSError, match="setns"):
        namespaces.setns(-1, 0)
    with pytest.raises(OSError, match="clone3"):
        clone.clone(1)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_numbers(machine: str) -> None:
    headers = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }
    assert arch.number("clone3", machine) == 435
    if not os.path.exists(headers[machine]):
        pytest.skip("kernel headers are not installed")
    text = Path(headers[machine]).read_text()
    for call in (*arch._OLD[machine], *arch._NEW):
        number = arch.number(call, machine)
        assert f"__NR_{call} {number}\n" in text.replace("\t", " "), call


def test_an_unknown_machine_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        arch.number("setns", "vax")


def test_clone_gives_a_pidfd_and_its_status() -> None:
    pid, fd = clone.clone()
    if pid == 0:
        os._exit(5)
    assert os.get_inheritable(fd) is False
    assert pidfd.status(fd, block=True) == 5
    assert pidfd.signal(fd, signal.SIGTERM) is False
    with pytest.raises(ChildProcessError):
        pidfd.status(fd)
    os.close(fd)


def test_status_of_what_runs_and_what_was_killed() -> None:
    pid, fd = clone.clone()
    if pid == 0:
        while True:
            signal.pause()
    assert pidfd.status(fd) is None
    assert pidfd.signal(fd, signal.SIGKILL) is True
    assert pidfd.status(fd, block=True) == 137
    os.close(fd)


def test_openat2_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/up").symlink_to("../../../../etc")
    (tmp_path / "in/abs").symlink_to("/etc")
    root = os.open(tmp_path, os.O_PATH)
    try:
        for path in ("in/up", "in/abs", "in/../../etc"):
            with pytest.raises(FileNotFoundError):
                openat2.openat2(root, path, os.O_PATH)
        with pytest.raises(OSError) as caught:
            openat2.openat2(root, "in/abs", os.O_PATH, resolve=openat2.RESOLVE_NO_SYMLINKS)
        assert caught.value.errno == errno.ELOOP
        fd = openat2.openat2(root, "/in", os.O_PATH)
        assert os.get_inheritable(fd) is False
        os.close(fd)
    finally:
        os.close(root)


def test_capabilities_by_name() -> None:
    assert capability.mask(["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_NEVER"]) == 1 | 1 << 40
    assert capability.names(1 | 1 << 21) == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    effective, permitted, inheritable = capability.get()
    assert (effective, permitted, inheritable) == tuple(
        int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")
    )
    assert capability.bounding() == int(status["CapBnd"], 16)


def test_dropping_capabilities() -> None:
    kept = capability.mask(["CAP_CHOWN", "CAP_KILL"]) & capability.get()[1]
    if not kept:
        pytest.skip("this process has no capabilities")

    def work() -> None:
        capability.drop_bounding(kept)
        assert capability.bounding() == kept
        capability.set(kept, kept, kept)
        capability.set_ambient(kept)
        assert capability.get() == (kept, kept, kept)

    assert in_child(work) == 0


def test_filter() -> None:
    code = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)

    def work() -> None:
        prctl.no_new_privileges()
        seccomp.Filter(code).load()
        assert "Seccomp:\t2" in Path("/proc/self/status").read_text()

    assert in_child(work) == 0
    for bad in (b"", code[:-1]):
        with pytest.raises(ValueError, match="BPF"):
            seccomp.Filter(bad)


def test_landlock(tmp_path: Path) -> None:
    if not landlock.abi():
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/f").write_text("x")

    def work() -> None:
        rules = landlock.Ruleset(tcp=landlock.ALL_TCP, scope=landlock.ALL_SCOPES)
        fd = os.open(tmp_path / "a", os.O_PATH)
        rules.allow_path(fd, landlock.READ)
        rules.allow_port(80, landlock.CONNECT)
        prctl.no_new_privileges()
        rules.restrict()
        assert (tmp_path / "a/f").read_text() == "x"
        for denied in (lambda: (tmp_path / "a/f").write_text("y"), lambda: os.listdir("/etc")):
            try:
                denied()
            except PermissionError:
                continue
            raise AssertionError("allowed")

    assert in_child(work) == 0
    assert landlock.files_of(0) == 0
    assert landlock.files_of(1) == (1 << 13) - 1
    assert landlock.files_of(3) == (1 << 15) - 1
    assert landlock.files_of(9) == landlock.ALL_FILES


def test_terminal_pair() -> None:
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        slave, number = pty.pair(master)
    except OSError as problem:
        pytest.skip(f"/dev/ptmx: {problem}")
    assert os.ttyname(slave).endswith(f"/{number}")
    pty.resize(master, 7, 9)
    assert tuple(os.get_terminal_size(slave)) == (9, 7)
    os.close(slave)
    os.close(master)
    null = os.open("/dev/null", os.O_RDWR)
    with pytest.raises(OSError, match="multiplexer"):
        pty.pair(null)
    os.close(null)


def test_closing_all_but() -> None:
    def work() -> None:
        kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(9)][2::3]
        close_range.close_except(kept)
        for fd in range(3, 40):
            try:
                os.fstat(fd)
                assert fd in kept
            except OSError:
                assert fd not in kept

    assert in_child(work) == 0


def test_limits() -> None:
    def work() -> None:
        rlimit.apply("RLIMIT_CORE", 0, 0)
        rlimit.apply("RLIMIT_NOFILE", 50, 60)
        text = Path("/proc/self/limits").read_text()
        assert "Max open files            50                   60" in text
        try:
            rlimit.apply("RLIMIT_CORE", -1, -1)
        except (OSError, ValueError):
            return
        assert os.geteuid() == 0  # CAP_SYS_RESOURCE

    assert in_child(work) == 0
    with pytest.raises(KeyError):
        rlimit.apply("RLIMIT_NOPE", 1, 1)


def test_messages_with_descriptors() -> None:
    one, two = scm.pair()
    null = os.open("/dev/null", os.O_RDONLY)
    big = {"text": "x" * 200_000}
    scm.send(one, {"a": 1}, [null, null])
    scm.send(one, big, [null])
    message, fds = scm.receive(two)
    assert (message, len(fds)) == ({"a": 1}, 2)
    scm.close_all(fds)
    message, fds = scm.receive(two)
    assert (message, len(fds)) == (big, 1)
    scm.close_all([*fds, null])
    one.send(b"[1]")
    one.send(b"{")
    for _ in range(2):
        with pytest.raises(ValueError):
            scm.receive(two)
    one.close()
    with pytest.raises(scm.Gone):
        scm.receive(two)
    with pytest.raises(scm.Gone):
        scm.send(two, {})
    two.close()


def test_signals_are_reset() -> None:
    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, lambda *_: None)
        ignored = (1).to_bytes(8, sys.byteorder) + bytes(
            24
        )  # the C library's own: posix_spawn(3) leaves them like this
        assert ctypes.CDLL(None).syscall(arch.number("rt_sigaction"), 32, ignored, None, 8) == 0
        text = Path("/proc/self/status").read_text()
        assert int(text.partition("SigIgn:")[2].split()[0], 16) & 1 << 31
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        signals.reset()
        text = Path("/proc/self/status").read_text()
        for name in ("SigBlk", "SigIgn"):
            assert f"{name}:\t{'0' * 16}" in text, text
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL

    assert in_child(work) == 0


def test_execve_passes_words_as_they_are() -> None:
    reader, writer = os.pipe()

    def work() -> None:
        os.dup2(writer, 1)
        image = execve.Image("/bin/cat", ["x", "/proc/self/environ"], ["A=1", "A=2", "\udcff"] + ["B=3"] * 600)
        image.execute()

    assert in_child(work) == 0
    os.close(writer)
    data = b""
    while part := os.read(reader, 65536):
        data += part
    os.close(reader)
    assert data == b"A=1\0A=2\0\xff\0" + b"B=3\0" * 600
    with pytest.raises(ValueError, match="null"):
        execve.Image("/x", ["a\0"], [])
    with pytest.raises(FileNotFoundError):
        execve.Image("/no/such", [], []).execute()


def test_command_line() -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); from proa.linux import argv, prctl; argv.show(b'init');"
        "prctl.name(b'init'); print(open('/proc/self/cmdline').read().strip(chr(0)), open('/proc/self/comm').read())"
    )
    site = os.path.dirname(os.path.dirname(os.path.dirname(arch.__file__)))
    done = subprocess.run([sys.executable, "-c", code, site], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["init", "init"]
    assert callable(argv.show)


def test_death_signal() -> None:
    """A child dies with its parent."""
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        below = os.fork()
        if below == 0:
            prctl.death_signal(signal.SIGKILL)
            os.write(writer, b"x")
            while True:
                signal.pause()
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(writer)
    os.waitpid(middle, 0)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    assert poll.poll(5000) and os.read(reader, 1) == b""
    os.close(reader)


def test_structures_have_the_kernels_sizes() -> None:
    assert ctypes.sizeof(clone.CloneArgs) == 88
    assert ctypes.sizeof(openat2._OpenHow) == 24
    assert ctypes.sizeof(landlock._PathBeneath) == 12
    assert len(bpf.instruction(0x95)) == 8
    assert libc.check(0, "x") == 0


def test_diet() -> None:
    """What the launch path may load: nothing of the standard library that costs milliseconds."""
    code = (
        "import sys; sys.path.append(sys.argv[1]);"
        "import proa.runtime.parent, proa.cgroup.choose;"
        "print(*sorted(name for name in sys.modules if not name.startswith('proa')))"
    )
    site = os.path.dirname(os.path.dirname(os.path.dirname(arch.__file__)))
    words = [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, site]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"socket", "signal", "json", "enum", "re", "typing", "dataclasses", "subprocess", "logging", "tempfile"}
    heavy |= {"shutil", "threading", "pathlib", "contextlib", "collections", "functools"}
    assert heavy & set(loaded) == set()
