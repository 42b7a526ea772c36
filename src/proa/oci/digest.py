"""Digests as the OCI image specification writes them: ``sha256:`` and 64 hex digits.

``VerifyingReader`` is a stream that cannot be read to its end unverified; idea: umoci, ``pkg/hardening``.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "sha256:"
_HEX = frozenset("0123456789abcdef")


class Readable(Protocol):
    """Anything with a blocking ``read(n)``: at most n bytes, b"" at the end and only there."""

    def read(self, size: int, /) -> bytes: ...


def of(data: bytes) -> str:
    """The digest of ``data``."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def valid(text: str) -> bool:
    """Whether ``text`` is a digest that we can check: sha256, lower-case hex."""
    return len(text) == 71 and text.startswith(PREFIX) and _HEX.issuperset(text[7:])


def hex_of(digest: str) -> str:
    """The 64 hex digits of ``digest``, safe as a file name. Raises InvalidRequest (``digest-invalid``)."""
    if not valid(digest):
        raise InvalidRequest(f"not a sha256 digest: {digest[:100]!r}", code="digest-invalid", input=digest[:100])
    return digest[7:]


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The chain id of each layer, lowest first (OCI image spec, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        hex_of(diff_id)
        chain.append(of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


class VerifyingReader:
    """Reads ``source``, which should hold exactly ``size`` bytes (-1: any number) with ``digest``.

    The read that reaches the end returns b"" only when all of it was right; a stream that goes on beyond its size
    fails at the first byte too many. Raises InvalidRequest (``content-corrupt``).
    """

    def __init__(self, source: Readable, digest: str, size: int = -1) -> None:
        hex_of(digest)
        self._source = source
        self._digest = digest
        self._size = size
        self._read = 0
        self._hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; b"" once everything has been verified."""
        data = self._source.read(size)
        if not data and size:
            self._finish()
            return b""
        self._hash.update(data)
        self._read += len(data)
        if 0 <= self._size < self._read:
            raise self._corrupt(f"more than {self._size} bytes")
        return data

    def _finish(self) -> None:
        if self._size >= 0 and self._read != self._size:
            raise self._corrupt(f"{self._read} bytes instead of {self._size}")
        found = PREFIX + self._hash.hexdigest()
        if found != self._digest:
            raise self._corrupt(f"its content has {found}")

    def _corrupt(self, why: str) -> InvalidRequest:
        return InvalidRequest(f"{self._digest} is corrupt: {why}", code="content-corrupt", input=self._digest)
