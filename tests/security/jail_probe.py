"""Started in QEMU's place by the jail's own code: tries to get out in every way it is told, and says how each went.

``jail_probe.py TARGETS``: JSON {shadow, readable, writable, disk, engine, port, socket, program, report}; answers go to
descriptor ``report`` as JSON {attempt: "done" | errno name | reason}. Everything is a bare system call.
"""

import _json
import _socket
import ctypes
import errno
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {
    "x86_64": {"ptrace": 101, "process_vm_readv": 310, "execveat": 322, "unshare": 272, "mount": 165, "bpf": 321},
    "aarch64": {"ptrace": 117, "process_vm_readv": 270, "execveat": 281, "unshare": 97, "mount": 40, "bpf": 280},
}[os.uname().machine]
IO_URING_SETUP, PIDFD_OPEN, CLONE3 = 425, 434, 435
PTRACE_SEIZE = 0x4206


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def read(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 1)


def only_open(path):
    os.close(os.open(path, os.O_RDWR))


def write(path):
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x")


def create(path):
    os.close(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path + ".new")


def ptrace(pid):
    check(libc.syscall(NUMBERS["ptrace"], PTRACE_SEIZE, pid, None, None))


def peek(pid):
    buffer = ctypes.create_string_buffer(1)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 1)
    try:
        check(libc.syscall(NUMBERS["process_vm_readv"], pid, vector, ctypes.c_ulong(1), vector, ctypes.c_ulong(1), 0))
    except OSError as problem:
        if problem.errno != errno.EFAULT:  # let in, but nothing lies at that address
            raise


def tgkill(pid):
    check(libc.tgkill(pid, pid, 0))


def in_child(work):
    """Run what does not return in a child, if there can be one."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except OSError as problem:
            os._exit(problem.errno or 255)
        os._exit(254)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, "child")


def execute_here(program):
    """execve in this process: on success this program is gone, and its report with it."""
    os.execv(program, [program])


def executeat(program):
    arguments = (ctypes.c_char_p * 2)(program.encode(), None)
    check(libc.syscall(NUMBERS["execveat"], 1000, program.encode(), arguments, None, 0x1000))


def mount(_):
    """Make every mount private: harmless after the unshare above, and as privileged as any other mount."""
    check(libc.syscall(NUMBERS["mount"], None, b"/", None, ctypes.c_ulong(0x44000), None))


def fork(_):
    in_child(lambda: os._exit(0))


def connect(port):
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0)
    sock.connect(("127.0.0.1", port))


def datagram(port):
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM, 0)
    sock.sendto(b"x", ("127.0.0.1", port))


def local(path):
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0)
    sock.connect(path)


def attempts(t):
    return [
        ("read shadow", read, t["shadow"]),
        ("read a file that all may read", read, t["readable"]),
        ("write the template", write, t["writable"]),
        ("create a file beside it", create, t["writable"]),
        ("open another VM's disk", read, t["disk"]),
        ("open the engine's memory", only_open, f"/proc/{t['engine']}/mem"),
        ("read the engine's environment", read, f"/proc/{t['engine']}/environ"),
        ("list a directory", os.listdir, t["listing"]),
        ("ptrace the engine", ptrace, t["engine"]),
        ("process_vm_readv", peek, t["engine"]),
        ("kill the engine", lambda pid: os.kill(pid, 0), t["engine"]),
        ("tgkill the engine", tgkill, t["engine"]),
        ("pidfd_open", lambda pid: check(libc.syscall(PIDFD_OPEN, pid, 0)), t["engine"]),
        ("fork", fork, None),
        ("connect over TCP", connect, t["port"]),
        ("send over UDP", datagram, t["port"]),
        ("connect to a unix socket", local, t["socket"]),
        ("unshare", lambda _: check(libc.syscall(NUMBERS["unshare"], 0x20000)), None),
        ("mount", mount, None),
        ("io_uring", lambda _: check(libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))), None),
        ("raise the limit on open files", raise_limit, 1100),
        ("execve", execute_here, t["program"]),
        ("execveat", executeat, t["program"]),
    ]


def raise_limit(number):
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def attempt(work, argument):
    try:
        work(argument)
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem.errno))
    except ValueError as problem:  # resource turns EPERM into this
        return str(problem)
    return "done"


def descriptors():
    held = []
    for fd in range(2048):
        try:
            os.fstat(fd)
        except OSError:
            continue
        held.append(fd)
    return held


def main():
    targets = _scan(sys.argv[1])
    answers = {"descriptors": descriptors(), "uid": os.getuid(), "pid": os.getpid()}
    for name, work, argument in attempts(targets):
        if name.startswith("exec") and targets["skip_exec"]:
            continue
        answers[name] = attempt(work, argument)
    text = "{" + ",".join(f'"{name}": {_quote(answers[name])}' for name in answers) + "}"
    os.write(targets["report"], text.encode())


class _Context:
    strict, object_hook, object_pairs_hook, parse_float, parse_int = True, None, None, float, int
    parse_constant, memo = {}.__getitem__, {}


def _scan(text):
    return _json.make_scanner(_Context())(text, 0)[0]


def _quote(value):
    return str(value) if isinstance(value, (int, list)) else _json.encode_basestring_ascii(value)


main()
