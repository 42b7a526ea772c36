"""The last stretch, the same for a container's program and for one exec'ed beside it: from root to the program.

    change = Change(process, seccomp, nofile)     while still everything is allowed
    change.streams(fds)  change.credentials()     ids, groups, limits, directory, capabilities; the program is found
    change.execute()                              after go: filter, last capabilities, execve, and nothing else

Loading a filter needs CAP_SYS_ADMIN or no_new_privs. Without no_new_privs that one capability is kept, permitted but
not effective, until the filter is loaded; then capset(2) and execve(2) are all that the filter must allow.
"""

import errno
import os

from ..linux import capability, execve, prctl, pty, rlimit, seccomp
from . import lookup, ourselves, user
from .failure import of_program, quote, reason
from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..oci.runtime import Process

_SIGKILL = 9
_SYS_ADMIN = capability.BITS["CAP_SYS_ADMIN"]
_LATE = ("RLIMIT_AS", "RLIMIT_DATA")  # this interpreter must still breathe
_NULL = os.makedev(1, 3)


class Sets:
    """The capability sets of a process, cut to what may be had."""

    __slots__ = ("ambient", "bounding", "effective", "inheritable", "permitted")

    def __init__(self, process: "Process", uid: int) -> None:
        asked = process.get("capabilities", {})
        _, held, _ = capability.get()
        self.bounding = capability.mask(asked.get("bounding", ())) & held
        self.inheritable = capability.mask(asked.get("inheritable", ())) & held
        permitted = capability.mask(asked.get("permitted", ())) & held
        self.ambient = capability.mask(asked.get("ambient", ())) & permitted & self.inheritable
        if uid:  # what execve(2) would do to an ordinary user, done before: its rights decide what can be executed
            permitted = self.ambient
        self.permitted = permitted
        self.effective = capability.mask(asked.get("effective", ())) & permitted


class Change:
    """See the module's docstring. Made, and used, with the container's root as root."""

    __slots__ = ("_filter", "_identity", "_image", "_late", "_nofile", "_process", "_sets")

    def __init__(self, process: "Process", seccomp_hex: str, nofile: "Sequence[int]") -> None:
        """``seccomp_hex``: the filter, or the name of one in ``linux.seccomp.ready``. Raises StartFailure: an unknown
        user."""
        self._process = process
        self._nofile = nofile
        need_home = not any(word.startswith("HOME=") for word in process.get("env", ()))
        self._identity = user.find(process["user"], need_home=need_home)
        self._sets = Sets(process, self._identity.uid)
        self._filter = seccomp.ready.get(seccomp_hex)
        if self._filter is None and seccomp_hex:
            self._filter = seccomp.Filter(bytes.fromhex(seccomp_hex))
        self._late: list[tuple[str, int, int]] = []
        self._image: execve.Image | None = None

    def streams(self, fds: "Sequence[int]", terminal: int = -1) -> None:
        """A session of its own, and descriptors 0, 1, 2: ``fds``, or ``terminal`` for all three."""
        os.setsid()
        if terminal >= 0:
            pty.control(terminal)
            fds = (terminal, terminal, terminal)
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
        for number in range(len(fds)):
            self._own(number)

    def _own(self, fd: int) -> None:
        """Give a stream to the user, who may open it by /proc/self/fd. Never the null device: it is the host's too."""
        info = os.fstat(fd)
        if info.st_rdev == _NULL or info.st_uid == self._identity.uid:
            return
        try:
            os.fchown(fd, self._identity.uid, -1)
        except OSError as problem:
            if problem.errno not in (errno.EPERM, errno.EINVAL, errno.EROFS):
                raise

    def credentials(self) -> None:
        """Everything up to execve but the filter. Raises StartFailure, OSError."""
        self._limits()
        os.umask(self._process["user"].get("umask", 0o022))
        entered = self._enter()
        if self._process.get("noNewPrivileges"):
            prctl.no_new_privileges()
        self._become()
        if not entered and not self._enter():
            raise _directory_refused(self._process["cwd"], OSError(errno.EACCES, ""))
        prctl.death_signal(_SIGKILL)
        self._image = self._program()

    def _limits(self) -> None:
        limits = [(one["type"], one["soft"], one["hard"]) for one in self._process.get("rlimits", ())]
        if self._nofile and not any(name == "RLIMIT_NOFILE" for name, _, _ in limits):
            limits.append(("RLIMIT_NOFILE", self._nofile[0], self._nofile[1]))
        for name, soft, hard in limits:
            if name in _LATE:
                self._late.append((name, soft, hard))
            else:
                _limit(name, soft, hard)

    def _enter(self) -> bool:
        """Change into the working directory; False when it may not be entered. It must lie inside the root."""
        path = self._process["cwd"]
        try:
            os.chdir(path)
        except PermissionError:
            return False
        except OSError as problem:
            raise _directory_refused(path, problem) from problem
        try:
            inside = os.getcwd().startswith("/")
        except OSError:
            inside = False
        if not inside:  # CVE-2024-21626: a directory of the host, by way of a leaked descriptor
            text = "current working directory is outside of container mount namespace root"
            raise StartFailure("denied", f"{text} -- possible container breakout detected")
        return True

    def _become(self) -> None:
        one, sets = self._identity, self._sets
        keep = _SYS_ADMIN if self._filter and not self._process.get("noNewPrivileges") else 0
        _, held, _ = capability.get()
        capability.drop_bounding(sets.bounding)
        prctl.keep_capabilities(True)
        _set_groups(one.groups)
        os.setresgid(one.gid, one.gid, one.gid)
        os.setresuid(one.uid, one.uid, one.uid)
        prctl.keep_capabilities(False)
        capability.set(sets.effective, sets.permitted | keep & held, sets.inheritable)
        capability.set_ambient(sets.ambient)

    def _program(self) -> execve.Image:
        args, env = self._process["args"], list(self._process.get("env", ()))
        if not any(word.startswith("HOME=") for word in env):
            env.append("HOME=" + (self._identity.home or "/"))
        path = lookup.find(args[0], lookup.search_path(env))
        if ourselves.asked_for(path):
            raise StartFailure("not-executable", f"exec: {quote(args[0])}: permission denied")
        try:
            return execve.Image(path, args, env)
        except ValueError as problem:
            raise StartFailure("invalid", f"exec: {quote(args[0])}: invalid argument") from problem

    def execute(self) -> "NoReturn":
        """Become the program. Raises StartFailure."""
        image = self.confine()
        try:
            image.execute()
        except OSError as problem:
            raise not_executed(image.path, problem) from problem

    def confine(self) -> execve.Image:
        """The last limits, the filter, the last capabilities; what is left to do is execve(2). Raises StartFailure."""
        assert self._image is not None
        for name, soft, hard in self._late:
            _limit(name, soft, hard)
        sets = self._sets
        if self._filter is not None:
            kept = not self._process.get("noNewPrivileges")
            if kept:
                capability.set(sets.effective | _SYS_ADMIN, sets.permitted | _SYS_ADMIN, sets.inheritable)
            self._filter.load()
            if kept:
                capability.set(sets.effective, sets.permitted, sets.inheritable)
        return self._image


def not_executed(path: str, problem: OSError) -> StartFailure:
    """What execve(2) said of a program that was found."""
    return of_program(f"exec {path}", problem)


def _directory_refused(path: str, problem: OSError) -> StartFailure:
    return of_program(f"chdir to cwd ({quote(path)}) set in config.json failed", problem)


def _limit(name: str, soft: int, hard: int) -> None:
    try:
        rlimit.apply(name, soft, hard)
    except OSError as problem:
        raise StartFailure("host-cannot", f"error setting {name} to {soft}:{hard}: {reason(problem)}") from problem
    except ValueError as problem:  # how the resource module says EPERM and EINVAL
        raise StartFailure("host-cannot", f"error setting {name} to {soft}:{hard}: {problem}") from problem


def _set_groups(groups: "Sequence[int]") -> None:
    try:
        os.setgroups(groups)
    except PermissionError:
        if _setgroups_allowed():
            raise  # else: a user namespace with a single id, where the caller's groups can't be changed by anyone


def _setgroups_allowed() -> bool:
    try:
        with open("/proc/self/setgroups", "rb") as state:
            return state.read(5) != b"deny\n"
    except OSError:
        return True
