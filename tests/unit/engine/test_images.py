"""The store of images over time: index.json beside the tags, leftovers of a killed engine, a request asked twice."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from proa.engine.wiring import Engine

from .fakes import FakeHull, body, running
from .test_lifecycle import play


def index(engine: Engine) -> list[str]:
    document: dict[str, Any] = json.loads(Path(engine.places.state, "content/index.json").read_text())
    return [one["annotations"]["io.containerd.image.name"] for one in document["manifests"]]


def test_index_follows_the_tags(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        bb, other = "docker.io/library/bb:latest", "docker.io/library/other:1"
        assert index(engine) == [bb]
        await engine.images.tag("bb", "other:1")
        assert index(engine) == [bb, other]
        await engine.images.remove("bb", force=False)
        assert index(engine) == [other]
        await engine.images.remove("other:1", force=False)
        assert index(engine) == []

    play(tmp_path, story)


def test_what_a_killed_engine_left_goes(tmp_path: Path) -> None:
    async def first() -> None:
        async with running(tmp_path) as (engine, _):
            content = Path(engine.places.state, "content")
            (content / "ingest/half").write_bytes(b"x")
            (content / "blobs/sha256" / ("0" * 64)).write_bytes(b"of no image")
            (content / "index.json").unlink()

    async def second() -> None:
        async with running(tmp_path, image=False) as (engine, _):
            content = Path(engine.places.state, "content")
            assert not os.listdir(content / "ingest")
            await engine.images.tidy()
            assert not (content / "blobs/sha256" / ("0" * 64)).exists()
            assert index(engine) == ["docker.io/library/bb:latest"]
            assert (await engine.images.resolve("bb")).layers

    asyncio.run(first())
    asyncio.run(second())


def test_nothing_is_swept_while_an_image_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def first() -> None:
        async with running(tmp_path) as (engine, _):
            record = await engine.images.resolve("bb")
            blobs = Path(engine.places.state, "content/blobs/sha256")
            (blobs / record.manifest.partition(":")[2]).unlink()

    async def second() -> None:
        async with running(tmp_path, image=False) as (engine, _):
            blobs = Path(engine.places.state, "content/blobs/sha256")
            before = sorted(os.listdir(blobs))
            await engine.images.tidy()
            assert sorted(os.listdir(blobs)) == before and before

    asyncio.run(first())
    asyncio.run(second())
    assert "nothing is swept" in capsys.readouterr().err


def test_layers_are_settled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proa.image import collect

    calls: list[object] = []
    monkeypatch.setattr(collect, "settle", calls.append)

    async def story(engine: Engine, hull: FakeHull) -> None:
        await engine.images.settle()
        await engine.images.settle()
        assert len(calls) == 1

    play(tmp_path, story)


def test_a_request_asked_again_makes_no_second_container(tmp_path: Path) -> None:
    async def first() -> str:
        async with running(tmp_path) as (engine, _):
            container, _warnings = await engine.containers.create("", body(), "ab" * 16)
            again, _warnings = await engine.containers.create("", body(), "ab" * 16)
            other, _warnings = await engine.containers.create("", body(), "cd" * 16)
            assert again is container and other is not container
            return container.id

    async def second(id: str) -> None:
        async with running(tmp_path, image=False) as (engine, _):
            container, _warnings = await engine.containers.create("", body(), "ab" * 16)
            assert container.id == id
            await engine.containers.life.remove(container)
            fresh, _warnings = await engine.containers.create("", body(), "ab" * 16)
            assert fresh.id != id

    asyncio.run(second(asyncio.run(first())))
