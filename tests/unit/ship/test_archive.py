"""ship/archive.py, image/store.py, image/collect.py: a tar becomes an image, and goes again without a trace."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
from pathlib import Path

import pytest

from proa.errors import InvalidRequest, NotFound, ProaError
from proa.image import collect, content, room, store, unpack
from proa.image.member import Limits
from proa.oci import digest
from proa.places import Places
from proa.ship import archive
from unit.image.tars import E, directory, header, make, symlink

DATA = make(directory("./"), E("bin/sh", b"#!", mode=0o755), symlink("lib", "usr/lib"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(str(tmp_path / "state"), str(tmp_path / "run"))


def stored(places: Places) -> list[str]:
    """Every file of the state directory but locks."""
    found = []
    for where, _, names in os.walk(places.state):
        found += [os.path.join(where, name)[len(places.state) :] for name in names]
    return sorted(found)


def test_import(places: Places) -> None:
    record = archive.import_tar(io.BytesIO(DATA), places, changes=["CMD /bin/sh", "ENV A=1"], message="hi")
    assert record.diff_ids == (digest.of(DATA),) == record.chain_ids == record.layers
    assert record.size == len("#!" + "usr/lib") and record.os == "linux"
    assert record.defaults == {"Cmd": ["/bin/sh", "-c", "/bin/sh"], "Env": ["A=1"]}
    assert record.config["history"][0]["comment"] == "hi"
    assert store.load(places, record.manifest) == record
    assert json.loads(content.read(places, record.id, 1 << 20))["rootfs"]["diff_ids"] == list(record.diff_ids)
    if unpack.able(places):
        assert sorted(os.listdir(unpack.place(places, record.root))) == ["bin", "lib"]


def test_compressed_is_the_same_layer(places: Places) -> None:
    plain = archive.import_tar(io.BytesIO(DATA), places)
    packed = archive.import_tar(io.BytesIO(gzip.compress(DATA)), places)
    assert plain.diff_ids == packed.diff_ids


def test_staged_but_not_committed_leaves_nothing(places: Places) -> None:
    with archive.stage(io.BytesIO(DATA), places):
        pass
    assert stored(places) == ["/content/oci-layout"]


@pytest.mark.parametrize(
    "data", [b"", b"x" * 2000, DATA[:1024], gzip.compress(DATA)[:-20], make(E("../x")), make(E("a")) + b"x" * 512]
)
def test_refused_archives_leave_nothing(places: Places, data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        archive.import_tar(io.BytesIO(data), places)
    assert stored(places) == ["/content/oci-layout"]


def test_bad_options_are_refused_before_reading(places: Places) -> None:
    class Never:
        def read(self, size: int, /) -> bytes:
            raise AssertionError("read before the options were checked")

    for options in (archive.Options(changes=("RUN x",)), archive.Options(platform="windows/amd64")):
        with pytest.raises(InvalidRequest):
            archive.stage(Never(), places, options)


def test_platforms(places: Places) -> None:
    for text, expected in (("linux/arm64/v8", "arm64"), ("linux/x86_64", "amd64")):
        assert archive.import_tar(io.BytesIO(DATA), places, platform=text).architecture == expected


def test_terabytes_are_refused_at_once(places: Places) -> None:
    sparse = header(b"big", size=b"\x80" + (1 << 40).to_bytes(11, "big"))
    with pytest.raises(InvalidRequest) as caught:
        archive.import_tar(io.BytesIO(sparse + bytes(1 << 20)), places)
    assert caught.value.code == "tar-too-large" and caught.value.input == "big"


def test_what_does_not_fit_on_the_disk_is_refused_at_its_header(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RESERVE", 1 << 60)
    with pytest.raises(ProaError) as caught:
        archive.import_tar(io.BytesIO(DATA), places)
    assert caught.value.code == "disk-full" and stored(places) == ["/content/oci-layout"]


def test_remove(places: Places) -> None:
    one = archive.import_tar(io.BytesIO(DATA), places)
    two = archive.import_tar(io.BytesIO(DATA), places, changes=["USER 1"])
    collect.remove(one, places, [two])
    assert store.load(places, two.manifest) == two
    with pytest.raises(NotFound):
        store.load(places, one.manifest)
    assert unpack.trees(places, two) == [unpack.place(places, two.root)] or not unpack.able(places)
    collect.remove(two, places, [])
    collect.remove(two, places, [])
    assert stored(places) == ["/content/oci-layout"]


def test_remove_of_an_image_that_another_record_is(places: Places) -> None:
    one = archive.import_tar(io.BytesIO(DATA), places)
    collect.remove(one, places, [store.load(places, one.manifest)])
    assert store.load(places, one.manifest) == one


def test_trees_are_made_again_from_the_blob(places: Places) -> None:
    if not unpack.able(places):
        pytest.skip("this user can have no trees")
    record = archive.import_tar(io.BytesIO(DATA), places)
    place = unpack.place(places, record.root)
    os.unlink(place + ".note")
    os.unlink(place + "/bin/sh")
    assert unpack.trees(places, record) == [place] and os.path.exists(place + "/bin/sh")


def test_a_config_that_contradicts_its_manifest(places: Places) -> None:
    record = archive.import_tar(io.BytesIO(DATA), places)
    raw = content.read(places, record.manifest, 1 << 20)
    manifest = json.loads(raw)
    manifest["layers"] *= 2
    name = content.put(places, json.dumps(manifest).encode())
    with pytest.raises(InvalidRequest) as caught:
        store.load(places, name)
    assert caught.value.code == "image-invalid"
    with pytest.raises(InvalidRequest):
        store.load(places, content.put(places, b"[1, 2]"))


def test_leftovers_of_a_killed_engine(places: Places) -> None:
    content.prepare(places)
    Path(places.state, "content/ingest/0123").write_text("half")
    os.makedirs(places.state + "/layers/.fresh-1/x")
    collect.discard_unfinished(places)
    assert stored(places) == ["/content/oci-layout"]
    assert collect.settle(places) == 0


def test_sweep_removes_what_no_image_uses(places: Places) -> None:
    kept = archive.import_tar(io.BytesIO(DATA), places)
    before = stored(places)
    lost = archive.import_tar(io.BytesIO(make(E("other"))), places)
    Path(unpack.place(places, digest.of(b"half")) + ".lock").touch()
    os.makedirs(unpack.blocks(places))
    Path(unpack.block_place(places, lost.root)).touch()
    Path(unpack.blocks(places), "blank-64.ext4").touch()
    assert collect.sweep(places, [kept]) == 6 - (not unpack.able(places))
    assert stored(places) == sorted([*before, "/blocks/blank-64.ext4"])
    assert collect.sweep(places, [kept]) == 0 and store.load(places, kept.manifest) == kept


def test_sweep_of_nothing(places: Places) -> None:
    assert collect.sweep(places, []) == 0


def test_limits_hold(places: Places) -> None:
    with pytest.raises(InvalidRequest):
        archive.import_tar(io.BytesIO(DATA), places, limits=Limits(entries=1))


def test_a_full_disk_in_the_middle(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "full")

    content.prepare(places)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ProaError) as caught:
        archive.import_tar(io.BytesIO(DATA), places)
    assert caught.value.code == "disk-full"
    monkeypatch.undo()
    assert stored(places) == ["/content/oci-layout"]


def test_a_tree_that_fails_does_not_cost_the_image(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(unpack, "able", lambda places: True)
    monkeypatch.setattr(unpack, "apply", refused)
    record = archive.import_tar(io.BytesIO(DATA), places)
    assert store.load(places, record.manifest) == record
