"""image/derived.py: made once, whole or not at all, distrusted after another boot."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from proa.image import derived


def build(place: str, text: str = "made") -> bool:
    with derived.making(place) as fresh:
        if fresh is None:
            return False
        Path(fresh).write_text(text)
    return True


def test_once(tmp_path: Path) -> None:
    place = str(tmp_path / "sub/thing")
    assert not derived.whole(place)
    assert build(place) and not build(place) and derived.whole(place)
    assert Path(place).read_text() == "made"


def test_two_at_once_make_one(tmp_path: Path) -> None:
    place, made = str(tmp_path / "thing"), []

    def work() -> None:
        with derived.making(place) as fresh:
            if fresh is not None:
                time.sleep(0.05)
                Path(fresh).write_text("")
                made.append(1)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "thing")
    with pytest.raises(RuntimeError), derived.making(place) as fresh:
        assert fresh is not None
        os.mkdir(fresh)
        Path(fresh, "half").write_text("")
        raise RuntimeError
    assert not derived.whole(place) and os.listdir(tmp_path) == ["thing.lock"]
    assert build(place)


def test_another_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, kept = str(tmp_path / "thing"), str(tmp_path / "kept")
    build(kept)
    assert derived.settle(str(tmp_path)) == 1 and derived.settle(str(tmp_path)) == 0
    build(place)
    monkeypatch.setattr(derived, "boot", lambda: "another")
    assert derived.whole(kept) and not derived.whole(place)
    assert build(place, "again") and Path(place).read_text() == "again"


def test_forget_and_make_again(tmp_path: Path) -> None:
    place = str(tmp_path / "thing")
    build(place)
    derived.forget(place)
    assert os.listdir(tmp_path) == [] and not derived.whole(place)
    derived.forget(place)
    derived.forget(str(tmp_path / "no/where"))
    assert build(place)


def test_many_making_and_forgetting(tmp_path: Path) -> None:
    place, inside = str(tmp_path / "thing"), []

    def work() -> None:
        for _ in range(30):
            with derived.making(place) as fresh:
                if fresh is not None:
                    inside.append(1)
                    assert len(inside) == 1
                    Path(fresh).write_text("")
                    inside.pop()
            derived.forget(place)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not inside


def test_what_was_killed_is_discarded(tmp_path: Path) -> None:
    (tmp_path / ".fresh-0123").mkdir()
    build(str(tmp_path / "thing"))
    derived.discard_unfinished(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["thing", "thing.lock", "thing.note"]
    derived.discard_unfinished(str(tmp_path / "absent"))
