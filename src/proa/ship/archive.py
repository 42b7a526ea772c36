"""How an image travels as a file: a root file system's tar becomes an image of one layer (``docker import``).

    staged = archive.stage(stream, places)     one pass over the stream: decompress, check, write; slow; in a thread
    record = staged.commit()                   blob, config and manifest appear; then the engine tags, in its lock
    staged.unpack()                            the tree is made at once where this host can have one

``import_tar`` does the three in a row. Leaving the ``with`` block without a commit leaves nothing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import HostCannot, InvalidRequest
from ..image import changes as change
from ..image import content, derived, store, unpack
from ..image.member import Limits
from ..image.receive import receive
from ..oci.image import CONFIG, LAYER_TAR, MANIFEST, WEIGHT, Descriptor, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..image.index import Index
    from ..image.store import ImageRecord
    from ..oci.digest import Readable
    from ..places import Places

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Options:
    """``changes``: Dockerfile instructions; ``message``: for the history; ``platform``: ``os[/arch[/variant]]``, this
    host's when empty; ``created``: RFC 3339, now when empty."""

    changes: tuple[str, ...] = ()
    message: str = ""
    platform: str = ""
    created: str = ""


class Staged:
    """An archive that was read whole and found good, not yet an image."""

    def __init__(self, places: Places, writer: content.Writer, index: Index, config: bytes) -> None:
        self._places = places
        self._writer = writer
        self._index: Index | None = index
        self._weight = index.weight()
        self._config = config
        self._record: ImageRecord | None = None

    def __enter__(self) -> Staged:
        return self

    def __exit__(self, *_: object) -> None:
        self._index = None
        self._writer.__exit__()

    def commit(self) -> ImageRecord:
        """Store the image. Quick: its bytes have reached the disk already."""
        if self._record is None:
            diff_id = self._writer.commit()
            config = content.put(self._places, self._config)
            manifest = Manifest(
                2,
                MANIFEST,
                Descriptor(CONFIG, config, len(self._config)),
                [Descriptor(LAYER_TAR, diff_id, self._writer.size, {WEIGHT: str(self._weight)})],
            )
            name = content.put(self._places, msgspec.json.encode(manifest))
            self._record = store.record(name, manifest, self._config)
        return self._record

    def unpack(self) -> bool:
        """Make the layer's tree now, from what is in memory; False where that fails: the image is good nevertheless,
        and who needs the tree tries again and hears why."""
        record = self.commit()
        if self._index is None or not unpack.able(self._places):
            return False
        try:
            with derived.making(unpack.place(self._places, record.root)) as fresh:
                if fresh is not None:
                    unpack.apply(self._places, self._index, record.diff_ids[0], fresh)
        except (HostCannot, OSError):
            return False
        return True


def stage(source: Readable, places: Places, options: Options = Options(), limits: Limits = Limits()) -> Staged:  # noqa: B008 (both are frozen)
    """Read an archive to its end. Raises InvalidRequest (``tar-…``, ``change-invalid``), ProaError, OSError."""
    platform = _platform(options.platform)
    defaults = change.apply({}, options.changes)
    writer = content.Writer(places)
    try:
        index = receive(source, writer, limits)
        writer.sync()
        return Staged(places, writer, index, _config(writer.digest, platform, defaults, options))
    except BaseException:
        writer.__exit__()
        raise


def import_tar(
    source: Readable,
    places: Places,
    *,
    changes: Iterable[str] = (),
    message: str = "",
    platform: str = "",
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> ImageRecord:
    """``stage``, ``commit`` and, where possible, ``unpack``."""
    with stage(source, places, Options(tuple(changes), message, platform), limits) as staged:
        record = staged.commit()
        staged.unpack()
        return record


def _config(diff_id: str, platform: dict[str, str], defaults: dict[str, Any], options: Options) -> bytes:
    created = options.created or _now()
    document = {
        **platform,
        "created": created,
        "config": defaults,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "comment": options.message or "Imported from -"}],
    }
    return msgspec.json.encode(document)


def _platform(text: str) -> dict[str, str]:
    machine = os.uname().machine
    host = _MACHINES.get(machine, machine)
    system, _, rest = (text or "linux").lower().partition("/")
    architecture, _, variant = rest.partition("/")
    architecture = _MACHINES.get(architecture, architecture) or host
    if system != "linux" or not architecture.isalnum() or (variant and not variant.isalnum()):
        raise InvalidRequest(f"unknown platform: {text}", code="platform-invalid", input=text)
    found = {"architecture": architecture, "os": system}
    return {**found, "variant": variant} if variant else found


def _now() -> str:
    ns = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09d}Z"
