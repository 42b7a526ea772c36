"""A filter on names is a regular expression that anyone may send: it must not hold up the engine."""

import time

import pytest

from proa.engine import filters
from proa.errors import InvalidRequest


@pytest.mark.parametrize("one", ["web", "^/web$", "web-[0-9]+", "^web.*db$", "(a|b)c", r"a\.b", "w?eb"])
def test_what_people_write(one: str) -> None:
    names = ("/web", "web", "web-12", "web-x-db", "ac", "a.b")
    assert filters.found(filters.patterns({"name": [one]}, "name"), *names)


@pytest.mark.parametrize("one", ["(a+)+!", "(a|aa)*b", "((a)){9}", "a*a*a*a*b", "x" * 300, "(", "a{1000000000000}"])
def test_what_would_take_for_ever_is_refused_at_once(one: str) -> None:
    begin = time.monotonic()
    with pytest.raises(InvalidRequest):
        filters.patterns({"name": [one]}, "name")
    assert time.monotonic() - begin < 1
