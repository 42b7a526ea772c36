"""Images: which are stored, what their tags are, which paths a container's root is made of."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from .. import NAME
from ..errors import Conflict, InvalidRequest, NotFound, ProaError
from ..image import content, reference, store
from . import feed

if TYPE_CHECKING:
    from ..image.store import ImageRecord
    from ..places import Places
    from ..rootfs.contract import Rootfs
    from .events import Events
    from .registry import Registry
    from .state import Database

Form = Literal["mounts", "disks"]
ID = "sha256:"


class Row(Struct, frozen=True):
    """What state.db keeps of an image: all else is read again from its manifest. ``tagged``: ns since the epoch."""

    id: str
    manifest: str
    tagged: int


class Images:
    """See the module's docstring."""

    def __init__(
        self, places: Places, db: Database, events: Events, containers: Registry, rootfs: dict[Form, Rootfs]
    ) -> None:
        self._places = places
        self._events = events
        self._containers = containers
        self._rootfs = rootfs
        decode = msgspec.json.Decoder(Row).decode
        self._rows = {row.id: row for row in map(decode, db.images())}
        self._tags = db.tags()
        self._loaded: dict[str, ImageRecord] = {}
        self._bases: dict[tuple[str, Form], list[str]] = {}
        self._changing = asyncio.Lock()
        self._unsettled = True  # an earlier engine may have been killed before it was

    def __len__(self) -> int:
        return len(self._rows)

    def names(self, id: str) -> list[str]:
        """The tags of an image as people write them."""
        return sorted(reference.parse(name).familiar() for name, image in self._tags.items() if image == id)

    @staticmethod
    def familiar(name: str, tag: str) -> str:
        """A name and a tag (or digest) as people write them."""
        return reference.parse(name + (f"{'@' if ':' in tag else ':'}{tag}" if tag else "")).familiar()

    def tagged(self, id: str) -> int:
        """When an image last got a tag, ns since the epoch."""
        return self._rows[id].tagged

    def users(self, id: str) -> int:
        """How many containers were made from an image."""
        return sum(1 for container in self._containers if container.record.image_id == id)

    def find(self, text: str) -> str:
        """The id of the image that a name, an id or a prefix of one means. Raises NotFound, InvalidRequest."""
        plain = text.removeprefix(ID)
        exact = ID + plain
        if exact in self._rows:
            return exact
        try:
            name = reference.parse(text)
        except InvalidRequest:
            name = None
        if name is not None and (found := self._by_reference(name)):
            return found
        matches = [id for id in self._rows if id.startswith(exact)] if plain else []
        if len(matches) > 1:
            raise NotFound(f"ambiguous image id: {text}", code="ambiguous-image", input=text)
        if matches:
            return matches[0]
        shown = name.familiar() if name is not None else text
        raise NotFound(
            f"No such image: {shown}", code="no-such-image", input=text, next_step=f"{NAME} import FILE.tar {shown}"
        )

    def _by_reference(self, name: reference.Reference) -> str | None:
        if not name.digest:
            return self._tags.get(str(name))
        return next((row.id for row in self._rows.values() if row.manifest == name.digest), None)

    def means(self, text: str, id: str) -> bool:
        """Whether ``text`` still means the image ``id``."""
        try:
            return self.find(text) == id
        except ProaError:
            return False

    async def load(self, id: str) -> ImageRecord:
        """An image that is stored. Raises NotFound when its blobs are gone."""
        record = self._loaded.get(id)
        if record is None:
            record = await asyncio.to_thread(store.load, self._places, self._rows[id].manifest)
            self._loaded[id] = record
        return record

    async def resolve(self, text: str) -> ImageRecord:
        """The image that ``text`` means. Raises NotFound."""
        return await self.load(self.find(text))

    async def all(self) -> list[ImageRecord]:
        """Every image, newest first."""
        records = [await self.load(id) for id in list(self._rows)]
        return sorted(records, key=lambda record: record.created, reverse=True)

    async def base(self, id: str, form: Form) -> list[str]:
        """The paths that a root of ``form`` is made of; slow the first time. Raises HostCannot, NotFound."""
        known = self._bases.get((id, form))
        if known is not None:
            return known
        if id not in self._rows:
            raise NotFound(f"No such image: {id}", code="no-such-image", input=id)
        record = await self.load(id)
        base = await asyncio.to_thread(self._rootfs[form].unpack, record)
        self._unsettled = True
        self._bases[id, form] = base
        return base

    async def import_tar(
        self, chunks: AsyncIterator[bytes], name: str, *, changes: list[str], message: str, platform: str
    ) -> ImageRecord:
        """A root file system as an image of one layer, tagged ``name`` (or not, if "")."""
        from ..ship import archive  # off the engine's start: it loads every decompressor

        tag = self._tag_name(name) if name else ""
        options = archive.Options(tuple(changes), message, platform)
        with await feed.consume(chunks, lambda stream: archive.stage(stream, self._places, options)) as staged:
            async with self._changing:
                record = await asyncio.to_thread(staged.commit)
                self._store(record, tag)
                await self._project()
            await asyncio.to_thread(staged.unpack)
            self._unsettled = True
        return record

    @staticmethod
    def _as_tag(text: str) -> str:
        try:
            return str(reference.parse(text))
        except InvalidRequest:
            return ""

    def _tag_name(self, text: str) -> str:
        name = reference.parse(text)
        if name.digest:
            raise InvalidRequest("cannot tag with a digest", code="reference-invalid", input=text)
        return str(name)

    def _store(self, record: ImageRecord, tag: str) -> None:
        row = Row(record.id, record.manifest, time.time_ns())
        with self._events.change() as change:
            change.db.put_image(row.id, row)
            if tag:
                change.db.set_tag(tag, row.id)
            change.event("image", "import", row.id, {"name": (tag and reference.parse(tag).familiar()) or row.id})
        self._rows[row.id] = row
        self._loaded[row.id] = record
        if tag:
            self._tags[tag] = row.id

    async def tag(self, text: str, name: str) -> None:
        """Let ``name`` mean the image that ``text`` means."""
        async with self._changing:
            self._tag(self.find(text), self._tag_name(name))
            await self._project()

    def _tag(self, id: str, tag: str) -> None:
        row = msgspec.structs.replace(self._rows[id], tagged=time.time_ns())
        with self._events.change() as change:
            change.db.put_image(id, row)
            change.db.set_tag(tag, id)
            change.event("image", "tag", id, {"name": reference.parse(tag).familiar()})
        self._rows[id] = row
        self._tags[tag] = id

    async def remove(self, text: str, *, force: bool) -> list[dict[str, str]]:
        """Docker's ``rmi``: take the name away, and the image with its last name. Raises Conflict, NotFound."""
        async with self._changing:
            id = self.find(text)
            tags = [name for name, image in self._tags.items() if image == id]
            named = [name for name in tags if name == self._as_tag(text)]
            self._check_removal(id, text, tags, named, force=force)
            untag = named or tags
            last = set(untag) == set(tags) and not self.users(id)
            record = await self.load(id) if last else None
            self._forget(id, untag, last=last)
            await self._project()
            if record is not None:
                await asyncio.to_thread(self._collect, record)
        replies = [{"Untagged": reference.parse(name).familiar()} for name in untag]
        if record is not None:
            replies += [{"Deleted": id}, *({"Deleted": chain} for chain in reversed(record.chain_ids))]
        return replies

    def _check_removal(self, id: str, text: str, tags: list[str], named: list[str], *, force: bool) -> None:
        short = id.removeprefix(ID)[:12]
        if not named and len(tags) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
                code="image-in-use",
                input=text,
            )
        if named and len(tags) > 1:
            return
        for container in self._containers:
            if container.record.image_id != id or (force and not (container.alive and not named)):
                continue
            user = container.id[:12]
            if named:
                what = (
                    f'conflict: unable to remove repository reference "{text}" (must force) '
                    f"- container {user} is using its referenced image {short}"
                )
            elif container.alive:
                what = (
                    f"conflict: unable to delete {short} (cannot be forced) "
                    f"- image is being used by running container {user}"
                )
            else:
                what = (
                    f"conflict: unable to delete {short} (must be forced) "
                    f"- image is being used by stopped container {user}"
                )
            raise Conflict(what, code="image-in-use", input=text)

    def _forget(self, id: str, untag: list[str], *, last: bool) -> None:
        with self._events.change(ends=True) as change:
            for name in untag:
                change.db.remove_tag(name)
                change.event("image", "untag", id, {"name": id})
            if last:
                change.db.remove_image(id)
                change.event("image", "delete", id, {"name": id})
        for name in untag:
            del self._tags[name]
        if last:
            del self._rows[id]
            self._loaded.pop(id, None)
            for key in [key for key in self._bases if key[0] == id]:
                del self._bases[key]

    def _collect(self, record: ImageRecord) -> None:
        from ..image import collect  # off the engine's start

        collect.remove(record, self._places, [store.load(self._places, row.manifest) for row in self._rows.values()])

    # what is done when nobody waits

    async def tidy(self) -> None:
        """Once after the start: remove what an engine left that was killed in the middle of an import or a removal, and
        write index.json anew. What cannot be read keeps everything: it may be needed."""
        from ..image import collect

        async with self._changing:
            try:
                records = await self.all()
            except (ProaError, OSError) as problem:
                print(f"images: nothing is swept: {problem}", file=sys.stderr)
                return
            await asyncio.to_thread(collect.sweep, self._places, records)
            await self._project()

    async def settle(self) -> None:
        """Let unpacked layers reach the disk, so that a power cut does not cost them."""
        if not self._unsettled:
            return
        self._unsettled = False
        from ..image import collect

        await asyncio.to_thread(collect.settle, self._places)

    async def _project(self) -> None:
        """Write the tags into content/index.json, for other programs: the database is the truth. Holds the lock."""
        tags = [(name, self._rows[id].manifest) for name, id in self._tags.items()]
        try:
            await asyncio.to_thread(content.project, self._places, tags)
        except (FileNotFoundError, PermissionError) as problem:
            if tags:
                print(f"images: index.json is not written: {problem}", file=sys.stderr)


def discard_unfinished(places: Places) -> None:
    """Before the first request: remove what was being written when an earlier engine was killed."""
    if not any(os.path.isdir(f"{places.state}/{name}") for name in ("content", "layers", "blocks")):
        return  # a first start need not load what follows
    from ..image import collect

    collect.discard_unfinished(places)
