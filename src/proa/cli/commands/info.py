"""``proa info``: what the engine knows about itself and this host, in docker's layout."""

from ... import __version__
from ...client.engine import Engine
from ...client.wire import target
from ..options import Command
from ..output import complain, document, text
from ..template import Template, go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values

_ROWS = (
    ("Containers", "Containers", ("ContainersRunning", "ContainersPaused", "ContainersStopped")),
    ("Images", "Images", ()),
    ("ServerVersion", "Server Version", ()),
    ("Driver", "Storage Driver", ()),
    ("LoggingDriver", "Logging Driver", ()),
    ("CgroupDriver", "Cgroup Driver", ()),
    ("CgroupVersion", "Cgroup Version", ()),
)
_HOST = (
    ("KernelVersion", "Kernel Version"),
    ("OperatingSystem", "Operating System"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("NCPU", "CPUs"),
)


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print it."""
    info = Engine(host).call("GET", target("/info"))
    format = values.text("format")
    if values.on("json") or format == "json":
        document(info)
    elif format:
        text(Template(format).render(info) + "\n")
    else:
        text("\n".join(["Client:", f" Version:    {__version__}", "", "Server:", *_server(info)]) + "\n")
        for warning in info.get("Warnings") or ():
            complain(warning)
    return 0


def _server(info: "dict[str, Any]") -> list[str]:
    from ..quantities import human_binary

    lines = []
    for key, title, parts in _ROWS:
        if key in info:
            lines.append(f" {title}: {info[key]}")
        lines += [f"  {part.removeprefix('Containers')}: {info[part]}" for part in parts if part in info]
    plugins = info.get("Plugins") or {}
    if plugins:
        lines.append(" Plugins:")
        lines += [f"  {kind}: {' '.join(plugins.get(kind) or ())}" for kind in ("Volume", "Network", "Log")]
    if info.get("Runtimes"):
        lines += [f" Runtimes: {' '.join(sorted(info['Runtimes']))}", f" Default Runtime: {info.get('DefaultRuntime')}"]
    lines += _hulls(info)
    if info.get("SecurityOptions"):
        lines.append(" Security Options:")
        lines += _security(info["SecurityOptions"])
    lines += [f" {title}: {info[key]}" for key, title in _HOST if info.get(key)]
    if info.get("MemTotal"):
        lines.append(f" Total Memory: {human_binary(info['MemTotal'])}")
    lines += [f" {title}: {go_text(info[key])}" for key, title in _TAIL if key in info]
    lines += [f"  {label}" for label in info.get("Labels") or ()]
    return lines


_TAIL = (("Name", "Name"), ("ID", "ID"), ("DockerRootDir", "Docker Root Dir"), ("Debug", "Debug Mode"))


def _hulls(info: "dict[str, Any]") -> list[str]:
    """Ours: what each hull is worth on this host."""
    lines = [" Hulls:"] if info.get("Hulls") else []
    for hull in info.get("Hulls") or ():
        lines.append(f"  {hull['Kind']}: {'available' if hull['Available'] else 'not available'}")
        facts = {key: value for key, value in hull.items() if key not in ("Kind", "Available") and value != ""}
        lines += [f"   {key}: {go_text(value)}" for key, value in facts.items()]
    return lines


def _security(options: "list[str]") -> list[str]:
    lines = []
    for option in options:
        pairs = [pair.partition("=") for pair in option.split(",")]
        for key, _, value in pairs:
            lines.append(f"  {value}" if key == "name" else f"   {key.capitalize()}: {value}")
    return lines


COMMAND = Command(
    "info",
    "[OPTIONS]",
    "Show what the engine knows about itself and this host",
    (("-f, --format", "string", "json or a template: {{.Containers}}, {{.KernelVersion}} …"),),
    run,
)
