"""The command lines of the terminal and pipe table."""

from __future__ import annotations

from dataclasses import replace

from .box import IMAGE
from .terminal import RESIZE, Line

RUN = ("run", "--rm", "BOX")
PROMPT = b"# "
TEXT = "the engine's name stands before an error's text, and ours carries a code"
SIZED = 'until [ "$(stty size 2>/dev/null)" = "24 80" ]; do sleep 0.05; done; '
"""The client sets the size behind the start."""
NAMED = ("--name", "table")

CORE = {
    *("echo", "both streams", "exit code", "missing program", "stdin through", "closed stdin", "a shell", "detach"),
    *("ctrl-c with a terminal", "attach, type, exit", "resize", "exec", "exec with a terminal", "logs", "wait"),
    "a program that ignores TERM",
}
"""What a line of each kind stands for: played on every hull."""

_LINES = [
    Line("echo", [*RUN, IMAGE, "echo", "hello"]),
    Line("both streams", [*RUN, IMAGE, "sh", "-c", "echo out; sleep 0.2; echo err >&2"]),
    Line("exit code", [*RUN, IMAGE, "sh", "-c", "exit 42"]),
    Line("nothing at all", [*RUN, IMAGE, "true"]),
    Line("missing program", [*RUN, IMAGE, "nope"], unlike=TEXT),
    Line("not executable", [*RUN, IMAGE, "/plain"], unlike=TEXT),
    Line("unknown flag", ["run", "--nope"], unlike=TEXT),
    Line("stdin through", [*RUN, "-i", IMAGE, "cat"], stdin=b"one\ntwo\n\0three", keys=[(b"", b"typed\r\x04")]),
    Line("closed stdin", [*RUN, "-i", IMAGE, "sh", "-c", "cat; echo end"], stdin=b"", keys=[(b"", b"\x04")]),
    Line("no stdin", [*RUN, IMAGE, "sh", "-c", "cat; echo end"], stdin=b"never read"),
    Line("half a line", [*RUN, IMAGE, "printf", "no end"]),
    Line("output of a terminal", [*RUN, "-t", IMAGE, "sh", "-c", "sleep 0.3; echo out; echo err >&2; tty"]),
    Line("a terminal is needed", [*RUN, "-it", IMAGE, "echo", "x"], stdin=b"", unlike=TEXT),
    Line("modes inside", [*RUN, "-it", IMAGE, "sh", "-c", SIZED + "stty -a"], pipe=False),
    Line("binary with a terminal", [*RUN, "-t", IMAGE, "printf", r"\000\377\033[31m\r\n\n\t\177\200"]),
    Line(
        "a shell",
        [*RUN, "-it", IMAGE, "sh"],
        keys=[(PROMPT, b"echo $((6*7))\r"), (b"42\r\n", b""), (PROMPT, b"exit 3\r")],
        pipe=False,
    ),
    Line("end of file in a shell", [*RUN, "-it", IMAGE, "sh"], keys=[(PROMPT, b"\x04")], pipe=False),
    Line(
        "ctrl-c with a terminal",
        [*RUN, "-it", IMAGE, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"],
        keys=[(b"ready", b"\x03")],
        pipe=False,
    ),
    Line(
        "ctrl-c without one",
        [*RUN, IMAGE, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"],
        keys=[(b"ready", b"\x03")],
        pipe=False,
    ),
    Line(
        "detach",
        ["run", "-it", "BOX", *NAMED, IMAGE, "sh", "-c", "echo ready; cat"],
        keys=[(b"ready", b"\x10\x11")],
        pipe=False,
        unlike="docker prints what it was typing over: 'read escape sequence'",
    ),
    Line(
        "attach, type, exit",
        ["attach", "table"],
        before=[["run", "-dit", "BOX", *NAMED, IMAGE, "sh"]],
        keys=[(b"", b"echo $((40+2))\r"), (b"42\r\n", b"exit 5\r")],
        pipe=False,
        unlike="whether the shell's prompt comes before or behind what is typed blindly is a race",
    ),
    Line(
        "resize",
        [
            *RUN,
            "-it",
            IMAGE,
            "sh",
            "-c",
            "sleep 0.7; echo ready; until stty size | grep 120; do sleep 0.05; done; sleep 0.2",
        ],
        keys=[(b"ready", RESIZE)],
        pipe=False,
    ),
    Line("much output", [*RUN, IMAGE, "seq", "1", "30000"]),
    Line("much output of a terminal", [*RUN, "-t", IMAGE, "seq", "1", "3000"]),
    Line("one long line", [*RUN, IMAGE, "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]),
    Line("a reader that closes early", shell="$CLI run --rm $FLAGS bb seq 1 1000000 | head -n 2", unlike=TEXT),
    Line(
        "a program that ignores TERM",
        ["stop", "-t", "1", "table"],
        before=[["run", "-d", "BOX", *NAMED, IMAGE, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]],
    ),
    Line("killed", shell="$CLI run --rm $FLAGS --init bb sh -c 'kill -9 $$'; echo $?"),
    Line(
        "exec",
        ["exec", "table", "sh", "-c", "echo in; exit 4"],
        before=[["run", "-d", "BOX", *NAMED, IMAGE, "sleep", "99"]],
    ),
    Line(
        "exec with a terminal",
        ["exec", "-it", "table", "sh"],
        before=[["run", "-d", "BOX", *NAMED, IMAGE, "sleep", "99"]],
        keys=[(PROMPT, b"tty\r"), (PROMPT, b"exit 4\r")],
        pipe=False,
    ),
    Line("logs", ["logs", "table"], before=[["run", "BOX", *NAMED, IMAGE, "sh", "-c", "echo out; echo more"]]),
    Line(
        "start attached",
        ["start", "-ai", "table"],
        before=[["create", "-i", "BOX", *NAMED, IMAGE, "sh", "-c", "read x; echo got $x; exit 7"]],
        stdin=b"given\n",
        keys=[(b"", b"typed\r")],
    ),
    Line("wait", ["wait", "table"], before=[["run", "-d", "BOX", *NAMED, IMAGE, "sh", "-c", "exit 6"]]),
    Line("only one stream", ["run", "--rm", "-a", "stderr", "BOX", IMAGE, "sh", "-c", "echo out; echo err >&2"]),
    Line(
        "names",
        ["ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}}"],
        before=[["create", "BOX", *NAMED, IMAGE, "true"]],
    ),
]
LINES = [replace(line, core=line.name in CORE) for line in _LINES]
