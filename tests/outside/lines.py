"""Command lines that docker's client runs against both engines; all of the terminal table, and those below."""

from __future__ import annotations

import dataclasses
import io
import tarfile

from functional import test_terminal_table as table
from support.box import IMAGE
from support.terminal import Line

NAME = "table"
RUN = ("run", "--rm", "BOX")
LIVE = ["run", "-d", "BOX", "--name", NAME, "--label", "part=test", IMAGE, "sleep", "99"]
MADE = ["create", "BOX", "--name", NAME, IMAGE, "echo", "made"]
ENDED = ["run", "BOX", "--name", NAME, IMAGE, "sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three"]
STUBBORN = [
    "run",
    "-d",
    "BOX",
    "--name",
    NAME,
    IMAGE,
    "sh",
    "-c",
    "trap 'exit 5' TERM; : >/set; while :; do sleep 0.05; done",
]

SETTLE = ["exec", NAME, "sh", "-c", "until [ -e /set ]; do sleep 0.05; done"]
"""Until the program has set its trap: process 1 ignores a signal that it has no handler for."""


CORE = {
    *("version", "info", "events", "create", "run detached", "start", "stop", "stop code", "kill", "rm", "wait"),
    *("ps", "ps ended", "logs", "logs followed", "exec with settings", "exec with stdin", "exec both streams"),
    *("import", "import with a change", "images", "inspect ended", "inside: who"),
}
"""What stands for each command: played on every hull."""


def _tar() -> bytes:
    """An archive of one empty directory."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        folder = tarfile.TarInfo("etc")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    return data.getvalue()


def _line(name: str, *arguments: str, before: list[list[str]] | None = None, **more: object) -> Line:
    return Line(name, list(arguments), before or [], **more)  # type: ignore[arg-type]


def _inside(name: str, script: str, *flags: str) -> Line:
    return _line(f"inside: {name}", *RUN, *flags, IMAGE, "sh", "-c", script)


SYSTEM = [
    _line("version", "version"),
    _line("version fields", "version", "--format", "{{.Client.Version}} {{.Server.Os}}/{{.Server.Arch}}"),
    _line("info", "info"),
    _line(
        "info fields", "info", "--format",
        "{{.Containers}} {{.ContainersRunning}} {{.LoggingDriver}} {{.OSType}} {{.Architecture}} {{.NCPU}} "
        "{{.MemTotal}} {{.KernelVersion}} {{.OperatingSystem}} {{.Name}} {{.CgroupVersion}} {{.CgroupDriver}} "
        "{{.Swarm.LocalNodeState}} {{.Debug}} {{.MemoryLimit}} {{.PidsLimit}} {{.CPUShares}} {{.CPUCfsQuota}}",
        before=[LIVE],
    ),
    _line("events", "events", "--since", "1", "--until", "1"),
    _line("events of nothing known", "events", "--since", "1", "--until", "2", "--filter", "nonsense=1"),
]  # fmt: skip

LIFE = [
    _line("create", *MADE),
    _line("run detached", *LIVE),
    _line("start", "start", NAME, before=[MADE]),
    _line("start twice", "start", NAME, before=[LIVE]),
    _line("start nothing", "start", "nobody"),
    _line("start several", "start", NAME, "nobody", before=[MADE]),
    _line("stop", "stop", NAME, before=[STUBBORN, SETTLE]),
    _line("stop twice", "stop", NAME, before=[ENDED]),
    _line("stop code", "wait", NAME, before=[STUBBORN, SETTLE, ["stop", NAME]]),
    _line("kill", "kill", NAME, before=[LIVE]),
    _line("kill with a signal", "kill", "-s", "USR1", NAME, before=[LIVE]),
    _line("kill what ended", "kill", NAME, before=[ENDED]),
    _line("kill with nonsense", "kill", "-s", "NONSENSE", NAME, before=[LIVE]),
    _line("pause", "pause", NAME, before=[LIVE]),
    _line("pause twice", "pause", NAME, before=[LIVE, ["pause", NAME]]),
    _line("pause what ended", "pause", NAME, before=[ENDED]),
    _line("unpause", "unpause", NAME, before=[LIVE, ["pause", NAME]]),
    _line("unpause what runs", "unpause", NAME, before=[LIVE]),
    _line("stop what is paused", "stop", "-t", "1", NAME, before=[LIVE, ["pause", NAME]]),
    _line("exec in what is paused", "exec", NAME, "true", before=[LIVE, ["pause", NAME]]),
    _line("restart", "restart", "-t", "1", NAME, before=[LIVE]),
    _line("rename", "rename", NAME, "other", before=[LIVE]),
    _line("rename to a bad name", "rename", NAME, "/", before=[LIVE]),
    _line("rm", "rm", NAME, before=[ENDED]),
    _line("rm what runs", "rm", NAME, before=[LIVE]),
    _line("rm by force", "rm", "-f", NAME, before=[LIVE]),
    _line("rm nothing", "rm", "nobody"),
    _line("rm nothing by force", "rm", "-f", "nobody"),
    _line("wait", "wait", NAME, before=[ENDED]),
    _line("wait for nothing", "wait", "nobody"),
    _line("name in use", *MADE, before=[MADE]),
    _line("bad name", "create", "BOX", "--name", "a/b", IMAGE, "true"),
    _line("short name", "create", "BOX", "--name", "a", IMAGE, "true"),
    _line("attach to nothing", "attach", "nobody"),
    _line("attach to what ended", "attach", NAME, before=[ENDED]),
    _line("attach to what is paused", "attach", NAME, before=[LIVE, ["pause", NAME]]),
    _line("removed by itself", "inspect", NAME, before=[["run", "--rm", "BOX", "--name", NAME, IMAGE, "true"]]),
    _line("prune", "container", "prune", "-f", before=[ENDED]),
]  # fmt: skip

SHOW = [
    _line("ps", "ps", before=[LIVE]),
    _line("ps of nothing", "ps"),
    _line("ps created", "ps", "-a", before=[MADE]),
    _line("ps ended", "ps", "-a", before=[ENDED]),
    _line("ps paused", "ps", before=[LIVE, ["pause", NAME]]),
    _line("ps in full", "ps", "-a", "--no-trunc", before=[ENDED]),
    _line("ps last", "ps", "-l", before=[MADE]),
    _line("ps quiet", "ps", "-q", before=[LIVE]),
    _line("ps labels", "ps", "--format", "{{.Names}} {{.Labels}} {{.State}} {{.Ports}} {{.Mounts}} {{.Networks}}",
          before=[LIVE]),
    _line("ps json", "ps", "-a", "--format", "{{json .}}", before=[MADE]),
    _line("ps by name", "ps", "-a", "--format", "{{.Names}}", "--filter", "name=tab", before=[MADE]),
    _line("ps by status", "ps", "--format", "{{.Names}}", "--filter", "status=exited", before=[ENDED]),
    _line("ps by a bad status", "ps", "--filter", "status=nonsense"),
    _line("ps by exit code", "ps", "-a", "--format", "{{.Names}}", "--filter", "exited=0", before=[ENDED]),
    _line("ps by label", "ps", "--format", "{{.Names}}", "--filter", "label=part=test", before=[LIVE]),
    _line("ps by image", "ps", "--format", "{{.Names}}", "--filter", f"ancestor={IMAGE}", before=[LIVE]),
    _line("ps by nonsense", "ps", "--filter", "nonsense=1"),
    _line("logs", "logs", NAME, before=[ENDED]),
    _line("logs tail", "logs", "--tail", "2", NAME, before=[ENDED]),
    _line("logs tail of none", "logs", "--tail", "0", NAME, before=[ENDED]),
    _line("logs with times", "logs", "-t", NAME, before=[ENDED]),
    _line("logs followed", "logs", "-f", NAME, before=[ENDED]),
    _line("logs since", "logs", "--since", "2h", NAME, before=[ENDED]),
    _line("logs until", "logs", "--until", "2h", NAME, before=[ENDED]),
    _line("logs of nothing", "logs", "nobody"),
    _line("logs of what never ran", "logs", NAME, before=[MADE]),
    _line("inspect nothing", "inspect", "nobody"),
    _line("inspect state", "inspect", "-f", "{{json .State}}", NAME, before=[MADE]),
    _line("inspect ended", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}} {{.State.Pid}} "
          "{{.State.OOMKilled}} {{.State.Error}}", NAME, before=[ENDED]),
    _line("inspect words", "inspect", "-f", "{{.Path}} {{.Args}} {{.Config.Cmd}} {{.Config.Image}} {{.Name}} "
          "{{.Config.Env}} {{.Config.Labels}} {{.RestartCount}}", NAME, before=[ENDED]),
    _line("inspect config", "inspect", "-f", "{{json .Config}}", NAME, before=[LIVE]),
    _line("inspect host", "inspect", "-f", "{{json .HostConfig}}", NAME, before=[LIVE]),
    _line("port", "port", NAME, before=[LIVE]),
]  # fmt: skip

EXEC = [
    _line("exec detached", "exec", "-d", NAME, "true", before=[LIVE]),
    _line("exec missing program", "exec", NAME, "nope", before=[LIVE]),
    _line("exec not executable", "exec", NAME, "/plain", before=[LIVE]),
    _line("exec with settings", "exec", "-e", "X=1", "-w", "/tmp", "-u", "1000:1000", NAME,
          "sh", "-c", "echo $X; pwd; id", before=[LIVE]),
    _line("exec by name of user", "exec", "-u", "app", NAME, "id", before=[LIVE]),
    _line("exec by an unknown user", "exec", "-u", "nobody-here", NAME, "id", before=[LIVE]),
    _line("exec in a missing directory", "exec", "-w", "/missing", NAME, "pwd", before=[LIVE]),
    _line("exec with stdin", "exec", "-i", NAME, "cat", before=[LIVE], stdin=b"given\n", tty=False),
    _line("exec in nothing", "exec", "nobody", "true"),
    _line("exec in what ended", "exec", NAME, "true", before=[ENDED]),
    _line("exec killed", "exec", NAME, "sh", "-c", "kill -9 $$", before=[LIVE]),
    _line("exec both streams", "exec", NAME, "sh", "-c", "echo out; sleep 0.2; echo err >&2", before=[LIVE]),
    _line("exec privileged", "exec", "--privileged", NAME, "grep", "Cap", "/proc/self/status", before=[LIVE]),
    _line("exec's environment", "exec", NAME, "env", before=[LIVE]),
]  # fmt: skip

IMAGES = [
    _line("images", "images", IMAGE),
    _line("images of nothing", "images", "nothing"),
    _line("images quiet", "images", "-q", IMAGE),
    _line("images by nonsense", "images", "--filter", "nonsense=1"),
    _line("image words", "inspect", "-f", "{{.Os}}/{{.Architecture}} {{.RepoTags}} {{.Comment}} {{.Author}} "
          "{{json .Config.Env}} {{json .Config.Cmd}} {{.RootFS.Type}}", IMAGE),
    _line("history", "history", IMAGE),
    _line("import", shell="$CLI import - made:line; echo $?; $CLI images -q made; $CLI rmi made:line", stdin=_tar(),
          tty=False),
    _line("import with a change", stdin=_tar(), tty=False,
          shell="$CLI import -c 'CMD [\"/x\"]' -c 'ENV A=1' -m why - made:line && "
          "$CLI inspect -f '{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}}' made:line; $CLI rmi made:line"),
    _line("import a missing file", "import", "/no/such/file", "x"),
    _line("import to a bad name", "import", "-", "BAD", stdin=b"", tty=False),
    _line("tag", "tag", IMAGE, "second:tag"),
    _line("tag of nothing", "tag", "nothing", "second:tag"),
    _line("tag with a bad name", "tag", IMAGE, "BAD:tag"),
    _line("rmi of a tag", "rmi", "second:tag", before=[["tag", IMAGE, "second:tag"]]),
    _line("rmi of nothing", "rmi", "nothing"),
    _line("rmi in use", "rmi", IMAGE, before=[MADE]),
    _line("run of nothing", *RUN, "nothing-here", "true"),
    _line("run never pulled", *RUN, "--pull", "never", "nothing-here", "true"),
    _line("run of a bad name", *RUN, "BAD", "true"),
    _line("run without a command", *RUN, IMAGE),
]  # fmt: skip

REFUSED = [
    _line("missing program in the background", "run", "-d", "BOX", "--name", NAME, IMAGE, "nope"),
    _line("a directory is no program", *RUN, IMAGE, "/etc"),
    _line("unknown user", *RUN, "-u", "nobody-here", IMAGE, "true"),
    _line("unknown group", *RUN, "-u", "app:nobody-here", IMAGE, "true"),
    _line("relative directory", *RUN, "-w", "relative", IMAGE, "true"),
    _line("too little memory", *RUN, "-m", "1m", IMAGE, "true"),
    _line("nonsense for memory", *RUN, "-m", "x", IMAGE, "true"),
    _line("too many cpus", *RUN, "--cpus", "1000", IMAGE, "true"),
    _line("unknown capability", *RUN, "--cap-add", "NONSENSE", IMAGE, "true"),
    _line("unknown network", "run", "--rm", "--network", "nothing", IMAGE, "true"),
    _line("unknown signal to stop", *RUN, "--stop-signal", "NONSENSE", IMAGE, "true"),
    _line("unknown runtime", *RUN, "--runtime", "nonsense", IMAGE, "true"),
    _line("relative volume", *RUN, "-v", "/tmp:relative", IMAGE, "true"),
    _line("restart and remove", *RUN, "--restart", "always", IMAGE, "true"),
    _line("bad environment", *RUN, "-e", "=x", IMAGE, "true"),
    _line("bad host name", *RUN, "--hostname", "x" * 65, IMAGE, "true"),
]  # fmt: skip

INSIDE = [
    _inside("environment", "env"),
    _inside("environment given", "env", "-e", "A=1", "-e", "PATH=/bin", "-h", "box"),
    _inside("environment of a terminal", "env", "-t"),
    _inside("who", "id; umask; pwd; hostname", "-h", "box"),
    _inside("another user", "id; pwd; echo $HOME", "-u", "app", "-w", "/work"),
    _inside("numbers of nobody known", "id; echo $HOME", "-u", "4321:4322"),
    _inside("group added", "id", "--group-add", "1003"),
    _inside("capabilities", "grep -E 'Cap|NoNewPrivs|Seccomp:|SigIgn|SigBlk' /proc/self/status"),
    _inside("capabilities of a user", "grep -E 'Cap|NoNewPrivs' /proc/self/status", "-u", "app"),
    _inside("capabilities chosen", "grep Cap /proc/self/status", "--cap-drop", "all", "--cap-add", "NET_RAW"),
    _inside("privileged", "grep -E 'Cap|Seccomp:' /proc/self/status", "--privileged"),
    _inside("descriptors", "ls /proc/self/fd"),
    _inside("devices", "cd /dev; ls | grep -v console; stat -c '%n %F %a %t:%T' null zero full tty random urandom shm"),
    _inside("mounts", "awk '{print $2, $3}' /proc/mounts | grep -v '^/ ' | grep -v /sys/fs/cgroup | sort"),
    _inside("mount options", "grep -E ' (/proc|/dev|/sys|/dev/shm|/dev/mqueue) ' /proc/mounts | cut -d' ' -f2-4|sort"),
    _inside("read-only places", "for f in /proc/sysrq-trigger /proc/sys/kernel/hostname /sys/x; do "
            "(echo x > $f) 2>&1; done"),
    _inside("masked places", "wc -c /proc/kcore /proc/keys /proc/timer_list; ls /proc/acpi /proc/scsi /sys/firmware"),
    _inside("read-only root", "touch /x; touch /tmp/x; echo $?", "--read-only", "--tmpfs", "/tmp"),
    _inside("limits", "ulimit -a", "--ulimit", "nofile=100:200", "--ulimit", "core=0"),
    _inside("shared memory", "df -k /dev/shm | tail -1 | awk '{print $2}'", "--shm-size", "8m"),
    _inside("process 1", "cat /proc/1/comm; ps -o pid,args"),
    _inside("process 1 with an init", "ps -o pid >/seen; wc -l </seen; grep -c init /proc/1/comm", "--init"),
    _inside("hosts", "cat /etc/hosts", "-h", "box"),
    _inside("host name's file", "cat /etc/hostname", "-h", "box"),
    _inside("name server", "cat /etc/resolv.conf"),
    _inside("links", "ls /sys/class/net"),
    _inside("loopback", "ip -o addr show lo | awk '{print $3, $4}'"),
    _inside("oom score", "cat /proc/self/oom_score_adj", "--oom-score-adj", "100"),
    _inside("system settings", "cat /proc/sys/kernel/msgmax", "--sysctl", "kernel.msgmax=4096"),
    _inside("a folder for nobody", "ls -ld /proc /sys /dev /tmp /etc | awk '{print $1, $3, $4, $NF}'"),
    _inside("a new working directory", "pwd; ls -ld . | awk '{print $1, $3}'", "-w", "/made/for/this"),
    _inside("entry point", "echo $0", "--entrypoint", "/bin/sh"),
]  # fmt: skip


def _marked(lines: list[Line]) -> list[Line]:
    return [dataclasses.replace(line, core=line.name in CORE) for line in lines]


TABLE = [dataclasses.replace(line, name=f"table: {line.name}", unlike="") for line in table.LINES]
LINES = _marked([*SYSTEM, *LIFE, *SHOW, *EXEC, *IMAGES, *REFUSED, *INSIDE])
