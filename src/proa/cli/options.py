"""One table a command, in plain tuples, and the small parser that reads it.

An option is ``(names, kind, help)``, the names as the help shows them: ``("-e, --env", "list", "Set environment
variables")``. Kinds are docker's words: "" (a switch), "switch-on" (a switch that is on), string, list, int, decimal,
bytes. click is built from the same table (``usage``), for help, completion and unusual ways to ask; it is not
loaded to run a command. The grammar is docker's: ``-it``, ``-eK=V``, ``--flag=value``, ``--``; options end at the first
argument where a command says so (run, create, exec).
"""

from .. import NAME
from ..errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..client.host import Host

    Option = tuple[str, str, str]

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
SWITCHES = ("", "switch-on")
EVERYWHERE: "tuple[Option, ...]" = (
    ("--json", "", "Print JSON, errors too"),
    ("--help", "", "Print usage"),
)


class Values(dict[str, "Any"]):
    """What the command line said: option name → value; what it did not say is absent."""

    def on(self, name: str, default: bool = False) -> bool:
        """A switch."""
        return bool(self.get(name, default))

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        return str(self.get(name, default))

    def number(self, name: str, default: int = 0) -> int:
        """An int, or a number of bytes, or of billionths (decimal)."""
        return int(self.get(name, default))

    def list(self, name: str) -> "list[str]":
        """Every value given, in order."""
        return list(self.get(name, ()))


class Command:
    """One command: its table and what runs it.

    usage: what follows the name; arguments: how many, the most -1 for any; interspersed: options may follow
    arguments; run: called with the host, the values and the arguments, returns the exit code.
    """

    __slots__ = ("arguments", "examples", "interspersed", "name", "options", "run", "summary", "usage")

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        options: "Sequence[Option]",
        run: "Callable[[Host, Values, list[str]], int]",
        arguments: "tuple[int, int]" = (0, 0),
        interspersed: bool = True,
        examples: "Sequence[str]" = (),
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.options = (*options, *EVERYWHERE)
        self.run = run
        self.arguments = arguments
        self.interspersed = interspersed
        self.examples = examples


class UsageError(InvalidRequest):
    """The command line is not one of ours. ``command``: whose help to look at; ``as_json``: --json stood before it."""

    default_code = "usage"
    default_exit = 125

    def __init__(self, what: str, command: "Command | None", *, code: str, exit: int = 125, input: str = "") -> None:
        super().__init__(what, code=code, exit=exit, input=input)
        self.command = command
        self.as_json = False
        path = f"{NAME} {command.name}" if command else NAME
        self.next_step = f"{path} --help"


def names(option: "Option") -> "list[str]":
    """``-e`` and ``--env``."""
    return option[0].split(", ")


def key(option: "Option") -> str:
    """The name that ``Values`` knows an option by: its long one."""
    return names(option)[-1].lstrip("-")


def parse(command: Command, argv: "Sequence[str]") -> "tuple[Values, list[str]]":
    """The values and arguments of a command line. Raises UsageError. ``--help`` ends the parsing."""
    parser = _Parser(command, argv)
    try:
        return parser.parse()
    except UsageError as problem:
        problem.as_json = parser.values.on("json")
        raise


class _Parser:
    def __init__(self, command: Command, argv: "Sequence[str]") -> None:
        self.command = command
        self.rest = list(reversed(argv))
        self.values = Values()
        self.arguments: list[str] = []
        self.known = {name: option for option in command.options for name in names(option)}

    def parse(self) -> "tuple[Values, list[str]]":
        while self.rest and "help" not in self.values:
            word = self.rest.pop()
            if word == "--":
                break
            if len(word) < 2 or word[0] != "-":
                self.arguments.append(word)
                if not self.command.interspersed:
                    break
            elif word.startswith("--"):
                self._long(word)
            else:
                self._short(word[1:])
        self.arguments += reversed(self.rest)
        if "help" not in self.values:
            self._count()
        return self.values, self.arguments

    def _long(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = self.known.get(name)
        if option is None or name == "--":
            raise self._error(f"unknown flag: {name}", "unknown-flag", name)
        if equals:
            self._set(option, value)
        elif option[1] in SWITCHES:
            self.values[key(option)] = True
        elif self.rest:
            self._set(option, self.rest.pop())
        else:
            raise self._error(f"flag needs an argument: {name}", "flag-argument", name)

    def _short(self, letters: str) -> None:
        for index, letter in enumerate(letters):
            option = self.known.get("-" + letter)
            after = letters[index + 1 :]
            if option is None and letter == "h":
                option = self.known["--help"]
            if option is None:
                what = f"unknown shorthand flag: '{letter}' in -{letters[index:]}"
                raise self._error(what, "unknown-flag", "-" + letter)
            if after.startswith("="):
                return self._set(option, after[1:])
            if option[1] in SWITCHES:
                self.values[key(option)] = True
            elif after:
                return self._set(option, after)
            elif self.rest:
                return self._set(option, self.rest.pop())
            else:
                what = f"flag needs an argument: '{letter}' in -{letters[index:]}"
                raise self._error(what, "flag-argument", "-" + letter)
        return None

    def _set(self, option: "Option", text: str) -> None:
        try:
            value = convert(option[1], text)
        except ValueError as problem:
            what = f'invalid argument "{text}" for "{option[0]}" flag: {problem}'
            raise self._error(what, "flag-argument", text) from problem
        if option[1] == "list":
            self.values.setdefault(key(option), []).append(value)
        else:
            self.values[key(option)] = value

    def _count(self) -> None:
        least, most = self.command.arguments
        count = len(self.arguments)
        if count >= least and (most < 0 or count <= most):
            return
        path = f"'{NAME} {self.command.name}'"
        if not most:
            what = f"{path} accepts no arguments"
        else:
            number, kind = (least, "at least ") if count < least else (most, "at most ")
            exact = "" if least == most else kind
            what = f"{path} requires {exact}{number} argument{'' if number == 1 else 's'}"
        raise UsageError(what, self.command, code="arguments", exit=1)

    def _error(self, what: str, code: str, input: str) -> UsageError:
        return UsageError(what, self.command, code=code, input=input)


def convert(kind: str, text: str) -> "Any":
    """The value that ``text`` is for an option of ``kind``. Raises ValueError in docker's words."""
    if kind in SWITCHES:
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    if kind in ("int", "bytes", "decimal"):
        from . import quantities

        return {"int": quantities.integer, "bytes": quantities.size, "decimal": quantities.decimal}[kind](text)
    return text
