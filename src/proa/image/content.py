"""Blobs by digest: STATE/content as an OCI image layout (blobs/sha256/HEX, oci-layout, index.json).

A blob appears whole or not at all: it is written beside its place, synced, and renamed. Readers get a stream that
verifies itself. index.json is a projection for other tools: the engine's database is the truth for tags.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ..errors import InvalidRequest, NotFound
from ..oci import digest
from ..oci.image import IMAGE_NAME, INDEX, MANIFEST, REF_NAME, Descriptor, Index
from . import room

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..places import Places

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def root(places: Places) -> str:
    """The layout's directory."""
    return places.state + "/content"


def path(places: Places, name: str) -> str:
    """Where the blob ``name`` (a digest) is, or would be. Raises InvalidRequest for what is not a digest."""
    return f"{root(places)}/blobs/sha256/{digest.hex_of(name)}"


def prepare(places: Places) -> None:
    """Make the layout's directories and marker."""
    os.makedirs(places.state, mode=0o700, exist_ok=True)
    os.makedirs(root(places) + "/blobs/sha256", mode=0o700, exist_ok=True)
    os.makedirs(root(places) + "/ingest", mode=0o700, exist_ok=True)
    marker = root(places) + "/oci-layout"
    if not os.path.exists(marker):
        replace(marker, LAYOUT)


class Writer:
    """A blob on its way in: ``write`` it, then ``commit`` it, or leave the ``with`` block and nothing was stored."""

    def __init__(self, places: Places) -> None:
        self.place = root(places)
        with room.needed(self.place):
            prepare(places)
        self._places = places
        self._hash = hashlib.sha256()
        self.size = 0
        self._path = f"{root(places)}/ingest/{os.urandom(8).hex()}"
        self._file: BinaryIO = open(self._path, "xb+", buffering=0)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``. Raises ProaError (``disk-full``), OSError."""
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        with room.needed(self.place):
            while view:
                view = view[os.write(self._file.fileno(), view) :]

    def fileno(self) -> int:
        """The file being written; readable too."""
        return self._file.fileno()

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return digest.PREFIX + self._hash.hexdigest()

    def sync(self) -> None:
        """Let the bytes reach the disk: the slow part of ``commit``, which may be called first and elsewhere."""
        with room.needed(self.place):
            os.fdatasync(self._file.fileno())

    def commit(self) -> str:
        """Make it a blob, and return its digest. The same blob may be there already."""
        name = self.digest
        place = path(self._places, name)
        if not os.path.exists(place):
            self.sync()
            os.fchmod(self._file.fileno(), 0o400)
            os.rename(self._path, place)
            sync_directory(os.path.dirname(place))
        return name


def put(places: Places, data: bytes) -> str:
    """Store ``data`` as a blob; returns its digest."""
    with Writer(places) as writer:
        writer.write(data)
        return writer.commit()


@contextlib.contextmanager
def opened(places: Places, name: str) -> Iterator[BinaryIO]:
    """The blob's file, unverified: wrap it (digest.VerifyingReader) unless it was just written. Raises NotFound."""
    try:
        file = open(path(places, name), "rb", buffering=0)
    except FileNotFoundError as problem:
        raise NotFound(f"content {name} is not stored here", code="content-missing", input=name) from problem
    with file:
        yield file


def read(places: Places, name: str, limit: int) -> bytes:
    """All of a blob of at most ``limit`` bytes, verified. Raises NotFound, InvalidRequest."""
    with opened(places, name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise InvalidRequest(f"{name} has {size} bytes, the limit is {limit}", code="content-too-large", input=name)
        reader = digest.VerifyingReader(file, name, size)
        parts = []
        while part := reader.read(1 << 20):
            parts.append(part)
        return b"".join(parts)


def remove(places: Places, name: str) -> None:
    """Forget a blob; one that is not there is fine."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path(places, name))


def names(places: Places) -> list[str]:
    """The digests of all blobs."""
    with contextlib.suppress(FileNotFoundError):
        found = [digest.PREFIX + name for name in os.listdir(root(places) + "/blobs/sha256")]
        return [name for name in found if digest.valid(name)]
    return []


def discard_unfinished(places: Places) -> None:
    """Remove what writers left that were killed. Only at start, before there are any."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(root(places) + "/ingest"):
            os.unlink(entry.path)


def project(places: Places, tags: Iterable[tuple[str, str]]) -> None:
    """Write index.json: ``tags`` are (reference as Docker shows it, manifest digest)."""
    manifests = [_described(places, name, manifest) for name, manifest in sorted(tags)]
    replace(root(places) + "/index.json", msgspec.json.encode(Index(2, INDEX, manifests)))


def _described(places: Places, name: str, manifest: str) -> Descriptor:
    size = os.stat(path(places, manifest)).st_size
    tag = name.rpartition(":")[2]
    return Descriptor(MANIFEST, manifest, size, {IMAGE_NAME: name, REF_NAME: tag})


def replace(place: str, data: bytes) -> None:
    """Write a small file so that it is old or new, never half."""
    fresh = f"{place}.{os.urandom(4).hex()}"
    with open(fresh, "xb", buffering=0) as file:
        file.write(data)
    os.rename(fresh, place)


def sync_directory(place: str) -> None:
    """Let the names in a directory reach the disk."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
