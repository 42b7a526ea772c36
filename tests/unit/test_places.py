"""Where an engine keeps things, for each kind of user."""

import os

import pytest

from proa import places
from proa.errors import InvalidRequest


def test_root_option_wins_over_the_environment() -> None:
    found = places.find("/a/b/", {b"PROA_ROOT": b"/c"})
    assert (found.state, found.run) == ("/a/b/state", "/a/b/run")


def test_relative_root_is_made_absolute() -> None:
    assert places.find("x").state == os.getcwd() + "/x/state"


def test_environment_root() -> None:
    assert places.find("", {b"PROA_ROOT": b"/c"}).socket == "/c/run/engine.sock"


def test_user_without_runtime_directory_runs_below_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posix.getuid", lambda: 1000)
    found = places.find("", {b"HOME": b"/home/u"})
    assert (found.state, found.run) == ("/home/u/.local/share/proa", "/home/u/.local/share/proa/run")
    with_run = places.find("", {b"HOME": b"/home/u", b"XDG_RUNTIME_DIR": b"/run/user/1000", b"XDG_DATA_HOME": b"/d"})
    assert (with_run.state, with_run.run) == ("/d/proa", "/run/user/1000/proa")


def test_root_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posix.getuid", lambda: 0)
    assert places.find("", {}).run == "/run/proa"


def test_socket_path_too_long_names_the_way_out() -> None:
    with pytest.raises(InvalidRequest) as caught:
        places.find("/tmp/" + "x" * 90, {}).check()
    assert caught.value.code == "socket-path-too-long"
    assert "PROA_ROOT" in caught.value.next_step
    places.find("/tmp/" + "x" * 75, {}).check()
