"""image/compression.py: known formats, cut and damaged streams, bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
from collections.abc import Callable

import pytest

from proa.errors import InvalidRequest
from proa.image import compression
from proa.image.member import Limits

DATA = b"".join(b"line %d of a file\n" % n for n in range(100_000))


def zstd(data: bytes) -> bytes:
    if not shutil.which("zstd"):
        pytest.skip("the zstd program, which makes the sample, is not here")
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


class Dribble:
    """A source that gives little at a time, as a socket does."""

    def __init__(self, data: bytes, step: int = 1000) -> None:
        self._file, self._step = io.BytesIO(data), step

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._step))


def everything(data: bytes, limits: Limits | None = None, step: int = 1000) -> bytes:
    stream = compression.opened(Dribble(data, step), limits or Limits())
    return b"".join(iter(lambda: stream.read(65536), b""))


FORMATS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, bz2.compress, lzma.compress, zstd]


@pytest.mark.parametrize("pack", FORMATS)
@pytest.mark.parametrize("step", [7, 4096, 1 << 20])
def test_round_trip(pack: Callable[[bytes], bytes], step: int) -> None:
    sample = DATA if step > 7 else DATA[:20_000]
    assert everything(pack(sample), step=step) == sample


@pytest.mark.parametrize("pack", FORMATS[1:])
def test_several_streams_in_a_row_and_padding(pack: Callable[[bytes], bytes]) -> None:
    assert everything(pack(b"a" * 1000) + pack(b"b" * 1000) + bytes(512)) == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize("pack", FORMATS[1:])
def test_cut_and_damaged(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(DATA)
    damaged = packed[: len(packed) // 2] + b"\xff\0\xff\0" + packed[len(packed) // 2 + 4 :]
    for broken in (packed[:-1], packed[: len(packed) // 2], damaged, packed + b"garbage"):
        with pytest.raises(InvalidRequest) as caught:
            everything(broken)
        assert caught.value.code == "compression-corrupt"


@pytest.mark.parametrize("pack", FORMATS[1:])
def test_bombs(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(50 << 20))
    with pytest.raises(InvalidRequest) as caught:
        everything(bomb, Limits(ratio=100, ratio_from=1 << 20))
    assert caught.value.code == "tar-bomb"
    with pytest.raises(InvalidRequest) as caught:
        everything(bomb, Limits(bytes=10 << 20))
    assert caught.value.code == "tar-too-large"


def test_short_and_empty() -> None:
    assert everything(b"") == b"" and everything(b"ab") == b"ab" and everything(b"\x1f\x8b") == b"\x1f\x8b"
