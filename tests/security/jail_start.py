"""Plays the shim for test_jail: starts a program in QEMU's place by the jail's own code. ``jail_start.py REQUEST``.

REQUEST: JSON {site, jail, argv}. Descriptor 3 of the jailed program is where it reports, the only one given to it
beside the standard three; what it reported is printed.
"""

import json
import os
import sys

request = json.loads(sys.argv[1])
sys.path.append(request["site"])

from proa.hull.vm import jail  # noqa: E402
from proa.linux import close_range, landlock, signals  # noqa: E402

if os.environ.get("JAIL_WITHOUT") == "landlock":  # plays a kernel that has none
    landlock.abi = lambda: 0
reader, writer = os.pipe()
os.set_inheritable(writer, True)
parent = os.pidfd_open(os.getpid())
held = os.open("/etc/hostname", os.O_RDONLY)  # must not leak into the jail
child, pidfd = jail.fork(request["jail"])
if not child:
    try:
        if writer != 3:
            os.dup2(writer, 3)
        os.set_inheritable(3, True)
        signals.reset()
        parent = os.dup2(parent, 20, inheritable=False)
        close_range.close_except([parent], 4)
        program = jail.confine(request["jail"], parent)
        os.execve(program, request["argv"], {})
    except BaseException as problem:
        os.write(2, f"{type(problem).__name__}: {problem}\n".encode())
    finally:
        os._exit(126)
os.close(writer)
print(child, file=sys.stderr, flush=True)
answer = b""
while chunk := os.read(reader, 65536):
    answer += chunk
status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
print(json.dumps({"answer": answer.decode(), "code": status.si_code, "status": status.si_status}))
