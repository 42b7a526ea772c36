"""Every error code in the source, and docs/errors.md made from them: ``python -m style.codes``, from tests/.

A code is what reaches a parameter called ``code``: by name, or at its place in a call of a function of ours.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import proa

SOURCE = Path(proa.__file__).parent
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
COMPOSED = {
    "start-{kind}": ["start-not-found", "start-not-executable", "start-denied", "start-invalid", "start-internal"],
    "container-{status}": ["container-running", "container-paused", "container-created", "container-exited"],
    "{part}-missing": ["kernel-missing", "qemu-missing", "squashfs-tools-missing", "e2fsprogs-missing"],
}
"""Codes that are put together when the error is made, written out. A new one fails the test until it stands here."""
CLASSES = ("NotFound", "Conflict", "InvalidRequest", "HostCannot", "EngineGone", "Internal", "Refused", "UsageError")


@dataclass(frozen=True)
class Code:
    name: str
    kind: str
    says: str


def _trees() -> Iterator[ast.Module]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield ast.parse(path.read_text())


def _places(tree: ast.Module) -> dict[str, int]:
    """Functions of a module that take a ``code`` by position, and where."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
            if "code" in names:
                found[node.name] = names.index("code") - (names[0] == "self")
    return found


def collect() -> dict[str, Code]:
    """Every code, with the class that carries it and what it says where that is written beside it."""
    trees = list(_trees())
    public = {name: at for tree in trees for name, at in _places(tree).items() if not name.startswith("_")}
    found: dict[str, Code] = {}
    for tree in trees:
        places = {**public, **_places(tree)}
        for node in ast.walk(tree):
            for code in _of(node, places):
                if code.name not in found or not found[code.name].says:
                    found[code.name] = code
    return found


def _of(node: ast.AST, places: dict[str, int]) -> Iterator[Code]:
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("default_code", "_CODES"):
        values = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
        for value in values:
            yield from _codes(value, "", "")
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
        at = places.get(called)
        values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        if at is not None and at < len(node.args):
            values.append(node.args[at])
        for value in values:
            yield from _codes(value, called if called in CLASSES else "", _says(node, value))


def _codes(value: ast.expr, kind: str, says: str) -> Iterator[Code]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE.fullmatch(value.value):
        yield Code(value.value, kind, says)
    elif isinstance(value, ast.JoinedStr) and re.fullmatch("[a-z{}-]+", _template(value)):
        for name in COMPOSED[_template(value)]:
            yield Code(name, kind, says)
    else:
        for inner in _alternatives(value):
            yield from _codes(inner, kind, says)


def _alternatives(value: ast.expr) -> list[ast.expr]:
    """The values that ``a or b``, ``a if … else b`` and ``table.get(key, b)`` may have."""
    if isinstance(value, ast.BoolOp):
        return value.values
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    return value.args[1:] if isinstance(value, ast.Call) else []


def _template(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(_template(part) for part in value.values)
    if isinstance(value, ast.FormattedValue):
        return "{" + ast.unparse(value.value).rpartition(".")[2] + "}"
    return ""


def _says(call: ast.Call, code: ast.expr) -> str:
    texts = [_template(argument) for argument in call.args if argument is not code]
    return next((re.sub(r"\{[^}]*\}", "…", text) for text in texts if " " in text), "")


HEAD = """# Errors

Every error that a person can meet is one line, `proa: what happened [code]`, with the next step below it where there
is one. Over the API it is Docker's body `{"message": …}` with `code`, `input` and `next` beside it. Codes are stable:
match them, not the texts. Each is of one kind:

| kind | HTTP | meaning |
|---|---|---|
| NotFound | 404 | the named container, image, exec instance or path does not exist |
| Conflict | 409 | the request contradicts the present state |
| InvalidRequest, UsageError | 400 | malformed, or something that can never be done |
| Refused | 400 | the program could not be started: exit code 127 (not found), 126 (not executable), else 125 |
| HostCannot | 501 | this host cannot do what was asked of this hull; never something weaker in silence |
| EngineGone | 503 | no engine answers, and none could be started |
| Internal | 500 | something broke inside; STATE/engine.log has more |

This table is made from the source (`make docs`); a test keeps it whole.

| code | kind | says |
|---|---|---|
"""


def page() -> str:
    """docs/errors.md."""
    codes = [code for _, code in sorted(collect().items())]
    rows = [f"| `{code.name}` | {code.kind} | {code.says.replace('|', '&#124;')} |" for code in codes]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
