"""Room kept free for what ends: given up on a full disk, taken again when there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proa.engine.reserve import SIZE, Reserve


def test_given_up_when_there_is_no_room_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 10 * SIZE
    monkeypatch.setattr(Reserve, "_room", lambda self: room)
    file = tmp_path / "reserve"
    reserve = Reserve(str(file))
    reserve.fill()
    assert file.stat().st_size == SIZE and file.stat().st_blocks * 512 >= SIZE
    reserve.spend()
    assert file.exists()
    room = SIZE // 2
    reserve.spend()
    assert not file.exists()
    reserve.fill()
    assert not file.exists()
    room = 10 * SIZE
    reserve.fill()
    assert file.exists()


def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    reserve = Reserve(str(tmp_path / "reserve"))
    reserve.fill()
    reserve.spend()
    assert list(tmp_path.iterdir()) == []
    Reserve("/no/such/directory/reserve").fill()
