"""image/content.py, oci/digest.py: a blob is whole and verified, or not there."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from proa.errors import InvalidRequest, NotFound
from proa.image import content
from proa.oci import digest
from proa.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(str(tmp_path / "state"), str(tmp_path / "run"))


def test_put_and_read(places: Places) -> None:
    name = content.put(places, b"hello")
    assert name == digest.of(b"hello") == content.put(places, b"hello")
    assert content.read(places, name, 5) == b"hello"
    assert Path(places.state, "content/oci-layout").read_text() == '{"imageLayoutVersion":"1.0.0"}'
    assert os.listdir(places.state + "/content/ingest") == []
    with pytest.raises(InvalidRequest):
        content.read(places, name, 4)
    content.remove(places, name)
    content.remove(places, name)
    with pytest.raises(NotFound):
        content.read(places, name, 5)


def test_not_committed_is_not_there(places: Places) -> None:
    with pytest.raises(RuntimeError), content.Writer(places) as writer:
        writer.write(b"half")
        raise RuntimeError
    assert os.listdir(places.state + "/content/blobs/sha256") == os.listdir(places.state + "/content/ingest") == []


def test_a_changed_blob_is_noticed(places: Places) -> None:
    name = content.put(places, b"hello")
    place = content.path(places, name)
    os.chmod(place, 0o600)
    for damage in (b"hellO", b"hell", b"hello!"):
        Path(place).write_bytes(damage)
        with pytest.raises(InvalidRequest) as caught:
            content.read(places, name, 100)
        assert caught.value.code == "content-corrupt"


@pytest.mark.parametrize("name", ["", "sha256:", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 32])
def test_what_is_no_digest_is_no_path(places: Places, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        content.path(places, name)
    assert caught.value.code == "digest-invalid"


def test_verifying_reader_never_reaches_a_wrong_end() -> None:
    good = digest.of(b"abc")
    for data, size in ((b"abd", 3), (b"ab", 3), (b"abcd", 3), (b"abcd", -1), (b"", -1)):
        reader = digest.VerifyingReader(io.BytesIO(data), good, size)
        with pytest.raises(InvalidRequest):
            while reader.read(2):
                pass
    reader = digest.VerifyingReader(io.BytesIO(b"abc"), good, 3)
    assert reader.read(2) + reader.read(2) == b"abc" and reader.read(1) == b""


def test_chain_ids() -> None:
    a, b = digest.of(b"a"), digest.of(b"b")
    assert digest.chain_ids([a, b]) == [a, digest.of(f"{a} {b}".encode())]


def test_projection(places: Places) -> None:
    name = content.put(places, b"{}")
    content.project(places, [("debian:12", name)])
    index = json.loads(Path(places.state, "content/index.json").read_text())
    assert index["manifests"][0]["digest"] == name and index["manifests"][0]["size"] == 2
    assert index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == "12"
    content.discard_unfinished(places)
