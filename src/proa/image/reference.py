"""Image references in Docker's grammar (distribution/reference): ``[domain[:port]/]path[:tag][@digest]``.

    parse("debian").name        "docker.io/library/debian"
    parse("debian").familiar()  "debian:latest"
    parse("host:5000/a/b:1")    domain "host:5000", path "a/b", tag "1"

A first component is a domain if it has a dot, a colon or an upper-case letter, or is ``localhost``. Regular
expressions are linear in the input here: each matches one bounded piece.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidRequest
from ..oci import digest as digests

DOMAIN = "docker.io"
TAG = "latest"
NAME_MAX = 255

_component = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_tag = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_domain = re.compile(
    r"(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9])"
    r"(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?\Z"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A name with a tag, a digest, or both. ``tag`` is "" only beside a digest."""

    domain: str
    path: str
    tag: str
    digest: str = ""

    @property
    def name(self) -> str:
        """The full name, without tag and digest."""
        return f"{self.domain}/{self.path}"

    def familiar_name(self) -> str:
        """The name as Docker shows it: ``debian`` for docker.io/library/debian."""
        if self.domain != DOMAIN:
            return self.name
        short = self.path.removeprefix("library/")
        return self.path if "/" in short else short

    def familiar(self) -> str:
        """Name, tag and digest as Docker shows them."""
        return self.familiar_name() + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The reference that a person typed; a missing tag is ``latest``. Raises InvalidRequest (``reference-invalid``)."""
    rest, at, digest = text.partition("@")
    if at and not digests.valid(digest):
        raise _invalid(text, "the digest is not sha256 and 64 hex digits")
    rest, tag = _split_tag(rest)
    if tag is not None and not _tag.match(tag):
        raise _invalid(text, "the tag may have letters, digits, _ . - and at most 128 of them")
    domain, path = _split_domain(rest)
    _check_name(text, domain, path)
    return Reference(domain, path, TAG if tag is None and not digest else tag or "", digest)


def _split_tag(text: str) -> tuple[str, str | None]:
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        domain, path = ("docker.io" if first == "index.docker.io" else first), rest
    else:
        domain, path = DOMAIN, name
    if domain == DOMAIN and path and "/" not in path:
        path = "library/" + path
    return domain, path


def _check_name(text: str, domain: str, path: str) -> None:
    if len(domain) + len(path) > NAME_MAX:
        raise _invalid(text, f"the name is longer than {NAME_MAX} characters")
    if len(path) == len("library/") + 64 and set(path[8:]) <= set("0123456789abcdef"):
        raise _invalid(text, "64 hex digits are an image's id, not a name")
    if not _domain.match(domain):
        raise _invalid(text, "the registry's name is malformed")
    for component in path.split("/"):
        if not _component.match(component):
            why = "repository name must be lowercase" if component != component.lower() else "malformed name"
            raise _invalid(text, why)


def _invalid(text: str, why: str) -> InvalidRequest:
    shown = text if len(text) <= 100 else text[:100] + "…"
    return InvalidRequest(
        f"invalid reference format: {why}: {shown.encode('unicode_escape').decode()}",
        code="reference-invalid",
        input=shown,
    )
