"""Short functions, small files, documented, no silent broad except: held to numbers, not to taste."""

from __future__ import annotations

import statistics

from style import shape


def test_functions_are_short() -> None:
    functions = shape.functions()
    lengths = sorted(function.lines for function in functions)
    assert statistics.median(lengths) <= 8
    assert lengths[len(lengths) * 9 // 10] <= 30
    long = [function for function in functions if function.lines > 50]
    assert len(long) <= 0.03 * len(functions), long


def test_files_are_small() -> None:
    sizes = {shape.name(path): len(path.read_text().splitlines()) for path in shape.files()}
    assert statistics.median(sizes.values()) <= 200
    assert {name: size for name, size in sizes.items() if size > 500} == {}


def test_everything_public_is_documented() -> None:
    assert shape.undocumented() == []


def test_each_broad_except_says_why() -> None:
    assert shape.broad_excepts() == []
