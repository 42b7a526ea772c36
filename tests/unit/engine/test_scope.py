"""What is asked of systemd, and that nothing is lost where there is none. tests/lab/inside/test_systemd.py asks it."""

from __future__ import annotations

import os

import pytest

from proa.engine import scope


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A manager that has no such scope yet."""
    made: list[list[str]] = []

    def call(*words: str) -> bool:
        made.append(list(words))
        monkeypatch.setattr(scope, "_own", lambda: "0::/proa.slice/proa-1.scope\n")
        return True

    monkeypatch.setattr(scope, "_managed", lambda: True)
    monkeypatch.setattr(scope, "_own", lambda: "0::/user.slice/user-0.slice/session-1.scope\n")
    monkeypatch.setattr(scope, "_call", call)
    return made


def test_a_scope_of_its_own(calls: list[list[str]]) -> None:
    assert scope.enter("proa-1")
    (words,) = calls
    assert words[:5] == ["StartTransientUnit", "ssa(sv)a(sa(sv))", "proa-1.scope", "fail", "5"]
    assert " ".join(["PIDs", "au", "1", str(os.getpid())]) in " ".join(words)
    assert " ".join(["Delegate", "b", "true"]) in " ".join(words)


def test_one_that_containers_keep(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    ready = scope._call
    monkeypatch.setattr(scope, "_call", lambda *words: words[0] != "StartTransientUnit" and ready(*words))
    assert scope.enter("proa-1")
    assert calls == [["AttachProcessesToUnit", "ssau", "proa-1.scope", "/proa-1.engine", "1", str(os.getpid())]]


def test_a_manager_that_refuses(calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "_call", lambda *words: False)
    assert not scope.enter("proa-1")


def test_no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "_managed", lambda: False)
    monkeypatch.setattr(scope, "_call", lambda *words: pytest.fail("nobody is there to be asked"))
    assert not scope.enter("proa-1")


def test_no_busctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "_BUSCTL", "/nonexistent/busctl")
    assert not scope._managed()
    assert not scope._call("Ping", "")
