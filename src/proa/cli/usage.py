"""click, built from the same tables: ``--help`` and completion. Loaded for nothing else."""

import click

from .. import NAME, __version__
from ..client.host import choose
from ..errors import ProaError
from . import catalog
from .options import SWITCHES, Command, names
from .output import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Option

VARIABLE = f"_{NAME.upper()}_COMPLETE"
_OF_CONTAINERS = frozenset("exec logs attach inspect start stop restart kill pause unpause wait rename rm".split())
_OF_IMAGES = frozenset("run create tag rmi inspect".split())
_VALUES = {
    "isolation": ("process", "vm"),
    "runtime": ("vm",),
    "network": ("none", "host"),
    "pull": ("missing", "never"),
    "attach": ("stdin", "stdout", "stderr"),
    "type": ("container", "image"),
}


class _Help(click.Command):
    """A command whose usage line is the table's."""

    table: Command

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(f"{NAME} {self.table.name}", self.table.usage, "Usage:  ")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.table.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.table.examples))


def show(command: Command) -> int:
    """Print the help of ``command``."""
    shape = _click(command)
    width = min(_width(), 100)
    context = click.Context(shape, info_name=f"{NAME} {command.name}", terminal_width=width, max_content_width=width)
    text(shape.get_help(context) + "\n")
    return 0


def _width() -> int:
    from .terminal import size

    found = size()
    return found[1] if found else 80


def script(shell: str) -> str:
    """The completion script of ``shell``. Raises ProaError: a shell that is not known."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise ProaError(
            f"no completion for {shell}", code="unknown-shell", input=shell, next_step=f"{NAME} completion bash", exit=1
        )
    return kind(group(), {}, NAME, VARIABLE).source()


def complete(instruction: str) -> int:
    """Answer a completion script's question (``VARIABLE`` holds ``instruction``)."""
    from click.shell_completion import shell_complete

    return shell_complete(group(), {}, NAME, VARIABLE, instruction)


def group() -> click.Group:
    """The whole command line."""
    commands = {}
    for name, _, _ in catalog.COMMANDS:
        command = catalog.load(name)
        if command:
            commands[name] = _click(command)
    options = [
        click.Option(["--root"], help="Where this engine keeps things"),
        click.Option(["-H", "--host"], help="Socket of the engine"),
        click.Option(["--debug"], is_flag=True),
    ]
    return click.Group(NAME, commands=commands, params=list(options), help=f"{NAME} {__version__}")


def _click(command: Command) -> click.Command:
    params: list[click.Parameter] = [_option(option) for option in command.options if "--help" not in option[0]]
    if command.arguments[1]:
        params.append(click.Argument(["names"], nargs=-1, shell_complete=_names(command.name)))
    made = _Help(command.name, params=params, help=command.summary, add_help_option=False)
    made.params.append(click.Option(["--help"], is_flag=True, help="Print usage"))
    made.table = command
    return made


def _option(option: "Option") -> click.Option:
    flags, kind, help = list(names(option)), option[1], option[2]
    if kind in SWITCHES:
        return click.Option(flags, is_flag=True, default=kind == "switch-on", help=help)
    values = _VALUES.get(flags[-1].lstrip("-"), ())
    metavar = {"": ""}.get(kind, kind)
    return click.Option(
        flags, multiple=kind == "list", help=help, metavar=metavar,
        shell_complete=lambda context, parameter, start: [value for value in values if value.startswith(start)],
    )  # fmt: skip


def _names(command: str) -> "_Completer":
    def complete(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
        if command in ("run", "create", "exec") and context.params.get("names"):
            return []
        root = context.find_root().params
        found = []
        try:
            host = choose(root.get("host") or "", root.get("root") or "")
            if command in _OF_CONTAINERS:
                found += _containers(host)
            if command in _OF_IMAGES:
                found += _images(host)
        except ProaError:
            pass  # a shell that completes has no place to tell an error
        return [name for name in found if name.startswith(start)]

    return complete


def _containers(host: "Host") -> list[str]:
    from ..client.engine import Engine
    from ..client.wire import target

    rows = Engine(host).call("GET", target("/containers/json", all=1), start=False) or []
    return [name.lstrip("/") for row in rows for name in row["Names"]]


def _images(host: "Host") -> list[str]:
    from ..client.engine import Engine
    from ..client.wire import target

    rows = Engine(host).call("GET", target("/images/json"), start=False) or []
    return [name.removesuffix(":latest") for row in rows for name in row["RepoTags"] or ()]


if TYPE_CHECKING:
    from collections.abc import Callable

    from ..client.host import Host

    _Completer = Callable[[click.Context, click.Parameter, str], list[str]]
