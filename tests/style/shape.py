"""Measures of the source: lengths of files and functions, docstrings, broad excepts. Plain ``ast``."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import proa

SOURCE = Path(proa.__file__).parent


@dataclass(frozen=True)
class Function:
    where: str
    lines: int


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def functions() -> list[Function]:
    """Every function with its length in lines, its docstring and blank lines apart."""
    found = []
    for path in files():
        text = path.read_text()
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append(Function(f"{name(path)}:{node.lineno} {node.name}", _length(node, lines)))
    return found


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    body = node.body[1:] if _has_docstring(node) else node.body
    if not body:
        return 1
    span = lines[body[0].lineno - 1 : body[-1].end_lineno]
    return 1 + sum(1 for line in span if line.strip() and not line.strip().startswith("#"))


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) and bool(
        ast.get_docstring(node)
    )


def undocumented() -> list[str]:
    """Modules, classes and public functions without a docstring; methods that only fill a contract are left out."""
    found = []
    for path in files():
        tree = ast.parse(path.read_text())
        if path.name != "__init__.py" and not _has_docstring(tree):
            found.append(name(path))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                public = not node.name.startswith("_")
                if public and not _has_docstring(node) and node.name != "main":
                    found.append(f"{name(path)}:{node.lineno} {node.name}")
    return found


def broad_excepts() -> list[str]:
    """``except:``, ``except Exception`` and wider without a comment that says why, on its line or the next."""
    found = []
    for path in files():
        text = path.read_text()
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _re_raises(node):
                said = lines[node.lineno - 1] + lines[node.lineno] + lines[node.lineno - 2]
                if "#" not in said:
                    found.append(f"{name(path)}:{node.lineno}")
    return found


def _is_broad(node: ast.ExceptHandler) -> bool:
    return node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))


def _re_raises(node: ast.ExceptHandler) -> bool:
    return any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
