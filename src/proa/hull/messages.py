"""The protocols between engine, spawner and shim: one closed list, with the arrows drawn.

Every message is one SOCK_SEQPACKET datagram: one JSON object, with descriptors beside it (``linux.scm``). Unknown
fields are ignored, fields are only ever added and are optional: a new engine drives old shims as long as these live.

engine ──► spawner
    spawn      {op, id}                  fds: control (the shim's end of a socketpair), bundle (memfd), then one for
                                         each name in bundle["fds"]
    spare      {op, count}               make shims that wait for their bundles: forked before they are needed
engine ◄── spawner
    hello      {op, protocol, pid, container, may}    what this host lets us do (hull/probe)
    spawned    {op, id, pid}
    spare      {op}                      fds: the control sockets of the shims that wait
    failed     {op, id, error}           fork(2) was refused: error is a Failure (below)

engine ──► spare shim, once, over its control socket; it then is as if it had been spawned; it ends if the engine does
    carry      {op, id}                  fds: bundle, then as with spawn

shim ──► engine, on every new connection (the control socket of ``spawn`` first, later ones by connect(2))
    hello      {op, protocol, status: "created"|"running"|"paused"|"exited", pid, started: ns,
                exit: Exit|None, execs: {exec id: ExecState}, hull: {…}}

engine ──► shim, each with a serial number n, answered by reply {op, n} or reply {op, n, error: Failure}
    start      {op, n}                   run the program; the reply is {pid, started: ns, hull: {…}}. May be sent at
                                         once after spawn: the shim works messages off in order. hull: what inspect
                                         shows beyond what the engine knows
    start      {op, n, machine}          once more, after a Failure of kind "spoiled": nothing has run, everything else
                                         is as it was. machine: the bundle's new one; fds: its template's memory
    attach     {op, n, target, stdin, stdout, stderr, logs, stream, mux, detach_keys, early}
                                         fds: the client's socket, its HTTP head already answered. target "" is the
                                         program, else an exec id. mux: frame output as Docker does (no terminal).
                                         early: bytes the client sent behind its head (latin-1)
    exec       {op, n, exec, process, terminal, stdin, stdout, stderr, mux, detach_keys, early}
                                         fds: the client's socket, or none (detached). process: OCI process object.
                                         The reply is {pid}; a program that cannot be run is an error with
                                         kind "not-found" or "not-executable", and an exec-exited follows
    resize     {op, n, target, height, width}
    signal     {op, n, target, signal}
    freeze     {op, n, frozen}
    end        {op, n, created}          kill everything inside, now; ``created``: only if nothing runs yet, else the
                                         reply is that of start, and nothing happens

shim ──► engine, unasked
    exited     {op, exit: Exit}          after the log is complete and the exit file stands; the end of the connection
                                         then says that nothing is left. Also after a start that was refused
    exec-exited {op, exec, status}
    oom        {op}
    detached   {op, target}              a client typed the detach keys
    spare      {op}                      fds: a control socket. Nothing is left of the container, and this process would
                                         carry another one; only said to the engine that had it made; the end of the
                                         connection follows

Exit      {status, oom, started: ns, finished: ns, error, execs: {exec id: ExecState}}    started 0: no program ran;
                          also the content of the exit file, RUN/containers/ID/exit
ExecState {running, pid, status}
Failure   {kind, text}    kind: not-found | not-executable | denied | invalid | not-running | host-cannot | internal |
                          spoiled (only of a first start); text: what docker's users expect to read
"""

from ..linux.scm import INLINE_MAX as INLINE_MAX
from ..linux.scm import Gone as Gone
from ..linux.scm import pair as pair
from ..linux.scm import receive as receive
from ..linux.scm import seal as seal
from ..linux.scm import send as send
from ..linux.scm import unseal as unseal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

PROTOCOL = 1
