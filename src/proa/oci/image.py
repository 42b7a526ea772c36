"""The OCI image specification's documents as types (v1.1): descriptor, manifest, index, and what we read of a config.

Unknown fields are ignored on reading. A config's own bytes are what its digest is of, so they are kept as they came:
``Config`` is a view for our own use, never written back.
"""

from __future__ import annotations

from typing import Any

import msgspec

LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Points at a blob. ``size`` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


WEIGHT = "proa.weight"
"""Annotation of a layer's Descriptor: the bytes that its files hold, in decimal. Its blob has headers and padding."""


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform: its config, and its layers, lowest first."""

    schema_version: int
    media_type: str
    config: Descriptor
    layers: list[Descriptor]


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """A list of manifests: index.json of an image layout."""

    schema_version: int
    media_type: str
    manifests: list[Descriptor]


class RootFs(msgspec.Struct, frozen=True):
    """``diff_ids``: digests of the uncompressed layers, lowest first."""

    type: str
    diff_ids: list[str]


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one layer came to be; for people."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class Config(msgspec.Struct, frozen=True):
    """An image's config. ``config``: defaults for its containers in Docker's names (Cmd, Env, WorkingDir …)."""

    architecture: str
    os: str
    rootfs: RootFs
    created: str = ""
    author: str = ""
    variant: str = ""
    config: dict[str, Any] | None = None
    history: list[History] = []
