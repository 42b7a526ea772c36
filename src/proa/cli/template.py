"""``--format``: the part of Go's templates that people type. ``{{.State.Pid}}``, ``{{json .}}``, ``{{upper .Name}}``.

Fields with dots, strings and numbers, pipes, and the functions json, upper, lower, title, join, split, index, len,
truncate, println. What Go has beyond that (if, range, with, define) is refused with a sentence. Values look as Go
prints them: a list ``[a b]``, a map ``map[k:v]``, null ``<no value>``.
"""

from .. import NAME
from ..errors import InvalidRequest
from .jsonview import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Piece = str | list["list[str]"]

_STATEMENTS = ("if", "range", "with", "else", "end", "define", "template", "block")


class Template:
    """A parsed template. ``fields``: the top-level names it mentions, for a table's head."""

    def __init__(self, text: str) -> None:
        self.source = text
        self._pieces: list[Piece] = list(self._parse(_unescape(text)))

    def render(self, value: "Any") -> str:
        """The template filled from ``value``. Raises InvalidRequest: no such field."""
        out = []
        for piece in self._pieces:
            out.append(piece if isinstance(piece, str) else go_text(self._pipe(piece, value)))
        return "".join(out)

    def _parse(self, text: str) -> "list[Piece]":
        pieces: list[Piece] = []
        while text:
            before, mark, rest = text.partition("{{")
            if before:
                pieces.append(before)
            if not mark:
                break
            inside, end, text = rest.partition("}}")
            if not end:
                raise self._error("unclosed action")
            if inside.startswith("- ") and pieces and isinstance(pieces[-1], str):
                pieces[-1] = pieces[-1].rstrip()
            if inside.endswith(" -"):
                text = text.lstrip()
            pieces.append(self._action(inside.removeprefix("- ").removesuffix(" -")))
        return pieces

    def _action(self, inside: str) -> "list[list[str]]":
        words = self._words(inside)
        if not words:
            raise self._error("missing value for command")
        if words[0] in _STATEMENTS:
            raise self._error(f"{words[0]!r} is not supported yet")
        pipe: list[list[str]] = [[]]
        for word in words:
            if word == "|":
                pipe.append([])
            else:
                pipe[-1].append(word)
        if not all(pipe):
            raise self._error("missing value for command")
        return pipe

    def _words(self, inside: str) -> list[str]:
        words, at = [], 0
        while at < len(inside):
            char = inside[at]
            if char.isspace():
                at += 1
            elif char in '"`':
                end = inside.find(char, at + 1)
                if end < 0:
                    raise self._error("unterminated quoted string")
                words.append('"' + inside[at + 1 : end])
                at = end + 1
            elif char in "|()":
                words.append(char)
                at += 1
            else:
                end = at
                while end < len(inside) and not inside[end].isspace() and inside[end] not in '|()"`':
                    end += 1
                words.append(inside[at:end])
                at = end
        return words

    def _pipe(self, pipe: "list[list[str]]", value: "Any") -> "Any":
        given: list[Any] = []
        for words in pipe:
            given = [self._command(words, value, given)]
        return given[0]

    def _command(self, words: "list[str]", value: "Any", given: "list[Any]") -> "Any":
        stack = self._arguments(list(words), value)
        function = _FUNCTIONS.get(words[0])
        if function is None:
            if len(stack) > 1 or given:
                raise self._error(f"can't give argument to non-function {words[0]}")
            return stack[0]
        try:
            return function(*stack, *given)
        except (TypeError, ValueError, KeyError, IndexError) as problem:
            raise self._error(f"error calling {words[0]}: {problem}") from problem

    def _arguments(self, words: "list[str]", value: "Any") -> "list[Any]":
        out: list[Any] = []
        if words[0] in _FUNCTIONS:
            words.pop(0)
        while words:
            word = words.pop(0)
            if word == "(":
                depth, inner = 1, []
                while words and depth:
                    inner.append(words.pop(0))
                    depth += {"(": 1, ")": -1}.get(inner[-1], 0)
                if depth or len(inner) < 2:
                    raise self._error("unclosed left paren")
                out.append(self._command(inner[:-1], value, []))
            else:
                out.append(self._value(word, value))
        return out

    def _value(self, word: str, value: "Any") -> "Any":
        if word.startswith('"'):
            return word[1:]
        if word == ".":
            return value
        if word.startswith("."):
            return self._field(word, value)
        if word in ("true", "false"):
            return word == "true"
        if word.lstrip("-").isdigit():
            return int(word)
        raise self._error(f"function {word!r} not defined")

    def _field(self, word: str, value: "Any") -> "Any":
        for name in word[1:].split("."):
            if value is None:
                return None
            if not isinstance(value, dict):
                raise self._error(f"can't evaluate field {name} in {word}")
            if name not in value:
                if value.get(_CLOSED):
                    raise self._error(f"can't evaluate field {name}: no such field")
                return None
            value = value[name]
        return value

    def _error(self, reason: str) -> InvalidRequest:
        return InvalidRequest(
            f"template parsing error: {reason} in {self.source!r}",
            code="invalid-format",
            input=self.source,
            next_step=f"{NAME} inspect --format '{{{{json .}}}}' NAME",
            exit=1,
        )


_CLOSED = ""  # a key that marks a row whose fields are all there are


def closed(row: "dict[str, Any]") -> "dict[str, Any]":
    """``row``, in which a field that is not there is an error (the rows of ps and images)."""
    return {**row, _CLOSED: True}


def fields(text: str) -> list[str]:
    """The names after a dot in the actions of ``text``, in order."""
    found = []
    for action in text.split("{{")[1:]:
        for word in action.partition("}}")[0].replace("|", " ").split():
            if word.startswith(".") and len(word) > 1:
                found.append(word[1:])
    return found


def go_text(value: "Any") -> str:
    """``value`` as Go's %v."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value) if key != _CLOSED) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def json_text(value: "Any") -> str:
    """``value`` as compact JSON."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key != _CLOSED}
    return compact(value)


def _unescape(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n")


def _index(value: "Any", *keys: "Any") -> "Any":
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else value[key]
    return value


def _truncate(value: str, length: int) -> str:
    return value[:length]


_FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    "json": json_text,
    "upper": lambda value: value.upper(),
    "lower": lambda value: value.lower(),
    "title": lambda value: value[:1].upper() + value[1:],
    "join": lambda value, between: between.join(value),
    "split": lambda value, between: value.split(between),
    "index": _index,
    "len": len,
    "truncate": _truncate,
    "println": lambda *values: " ".join(map(go_text, values)) + "\n",
}
