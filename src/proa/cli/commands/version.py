"""``proa version``: the client's and the engine's versions, in docker's layout."""

import sys

from ... import NAME, __version__
from ...client.engine import Engine
from ...client.wire import API, target
from ...errors import EngineGone
from ..options import Command
from ..output import document, text
from ..report import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print both; exit code 1 when no engine answers."""
    problem: EngineGone | None = None
    server: dict[str, Any] | None = None
    try:
        server = Engine(host).call("GET", target("/version"))
    except EngineGone as gone:
        problem = gone
    both = {"Client": _client(), "Server": server}
    format = values.text("format")
    if values.on("json") or format == "json":
        document(both)
    elif format:
        from ..template import Template

        text(Template(format).render(both) + "\n")
    else:
        text(_text(both))
    if problem:
        report(problem, values.on("json"))
        return 1
    return 0


def _client() -> "dict[str, Any]":
    import posix

    uname = posix.uname()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(uname.machine, uname.machine)
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "Version": __version__,
        "ApiVersion": API.removeprefix("/v"),
        "PythonVersion": python,
        "Os": uname.sysname.lower(),
        "Arch": machine,
    }


def _text(both: "dict[str, Any]") -> str:
    client, server = both["Client"], both["Server"]
    lines = [
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {client['ApiVersion']}",
        f" Python version:    {client['PythonVersion']}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
    ]
    if server:
        lines += ["", f"Server: {(server.get('Platform') or {}).get('Name') or NAME}", *_server(server)]
    return "\n".join(lines) + "\n"


def _server(server: "dict[str, Any]") -> list[str]:
    lines = []
    for part in server.get("Components") or [{"Name": "Engine", "Version": server.get("Version"), "Details": server}]:
        details = part.get("Details") or {}
        lines += [f" {part['Name']}:", f"  Version:          {part['Version']}"]
        least = details.get("MinAPIVersion")
        if details.get("ApiVersion"):
            lines.append(
                f"  API version:      {details['ApiVersion']}" + (f" (minimum version {least})" if least else "")
            )
        for key, title in (("PythonVersion", "Python version"), ("GitCommit", "Git commit"), ("BuildTime", "Built")):
            if details.get(key):
                lines.append(f"  {title + ':':17} {details[key]}")
        if details.get("Os"):
            lines.append(f"  OS/Arch:          {details['Os']}/{details['Arch']}")
        if details.get("KernelVersion"):
            lines.append(f"  Kernel version:   {details['KernelVersion']}")
    return lines


COMMAND = Command(
    "version",
    "[OPTIONS]",
    "Show the version of client and engine",
    (("-f, --format", "string", "json or a template: {{.Client.Version}}, {{.Server.ApiVersion}} …"),),
    run,
)
