"""The images of an engine as values. Stored are blobs; which of them are images, and their tags, the engine knows.

    record = store.load(places, manifest_digest)      of an image that an earlier engine stored
    record.id, record.diff_ids, record.config …       what inspect and spec need

The engine keeps ``record.manifest`` beside each tag: everything else can be read again from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import InvalidRequest
from ..oci import digest
from ..oci.image import WEIGHT, Config, Descriptor, Manifest
from . import content

if TYPE_CHECKING:
    from ..places import Places

DOCUMENT_MAX = 4 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One stored image. ``id``: digest of its config, which is what Docker calls an image's id; ``manifest``: digest of
    its manifest; ``layers``: digests of its layers' blobs; ``diff_ids``, ``chain_ids``: of the layers, lowest first;
    ``size``: bytes of all layers' files, as dockerd has it; ``created``: RFC 3339; ``config``: the config document."""

    id: str
    manifest: str
    layers: tuple[str, ...]
    diff_ids: tuple[str, ...]
    chain_ids: tuple[str, ...]
    size: int
    created: str
    architecture: str
    os: str
    config: dict[str, Any] = field(repr=False, compare=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """Docker's ``Config`` of the image: Cmd, Entrypoint, Env, WorkingDir, User, Labels … (absent ones left out)."""
        found = self.config.get("config")
        return found if isinstance(found, dict) else {}

    @property
    def root(self) -> str:
        """The chain id that stands for the whole root file system."""
        return self.chain_ids[-1]


def load(places: Places, manifest_digest: str) -> ImageRecord:
    """The image whose manifest has this digest. Raises NotFound (``content-missing``), InvalidRequest."""
    manifest = _decode(content.read(places, manifest_digest, DOCUMENT_MAX), Manifest, manifest_digest)
    raw = content.read(places, manifest.config.digest, DOCUMENT_MAX)
    return record(manifest_digest, manifest, raw)


def record(manifest_digest: str, manifest: Manifest, raw_config: bytes) -> ImageRecord:
    """The value of a manifest and its config's bytes. Raises InvalidRequest when they contradict each other."""
    config = _decode(raw_config, Config, manifest.config.digest)
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers) or not diff_ids:
        raise InvalidRequest(
            f"image {manifest_digest} has {len(manifest.layers)} layers, but its config has {len(diff_ids)}",
            code="image-invalid",
            input=manifest_digest,
        )
    return ImageRecord(
        id=manifest.config.digest,
        manifest=manifest_digest,
        layers=tuple(layer.digest for layer in manifest.layers),
        diff_ids=tuple(diff_ids),
        chain_ids=tuple(digest.chain_ids(diff_ids)),
        size=sum(map(_weight, manifest.layers)),
        created=config.created,
        architecture=config.architecture,
        os=config.os,
        config=msgspec.json.decode(raw_config),
    )


def _weight(layer: Descriptor) -> int:
    """What a layer's files hold; where nobody has counted it, its blob's size."""
    told = layer.annotations.get(WEIGHT, "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 19 else layer.size


def _decode(raw: bytes, kind: type[_T], name: str) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as problem:
        raise InvalidRequest(
            f"{name} is not a valid {kind.__name__}: {problem}", code="image-invalid", input=name
        ) from (problem)
