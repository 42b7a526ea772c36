"""Containers by id, by name, by the beginning of an id."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import InvalidRequest, NotFound
from .container import Container


class Registry:
    """Every container there is. Ids and names are unique here as they are in the database."""

    def __init__(self) -> None:
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}
        self._by_request: dict[str, Container] = {}

    def __iter__(self) -> Iterator[Container]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, container: Container) -> None:
        """Know a container from now on."""
        self._by_id[container.id] = container
        self._by_name[container.name] = container
        if container.record.request:
            self._by_request[container.record.request] = container

    def remove(self, container: Container) -> None:
        """Know it no more."""
        self._by_id.pop(container.id, None)
        self._by_request.pop(container.record.request, None)
        if self._by_name.get(container.name) is container:
            del self._by_name[container.name]

    def rename(self, container: Container, name: str) -> None:
        """Let it answer to another name."""
        del self._by_name[container.name]
        container.renamed(name)
        self._by_name[name] = container

    def named(self, name: str) -> Container | None:
        """By exact name, without a leading slash."""
        return self._by_name.get(name)

    def requested(self, request: str) -> Container | None:
        """The one that a request of this name made."""
        return self._by_request.get(request)

    def by_id(self, id: str) -> Container | None:
        """By full id."""
        return self._by_id.get(id)

    def find(self, text: str) -> Container:
        """By full id, name or ``/name``, or a prefix of an id that only one has. Raises NotFound, InvalidRequest."""
        plain = text.removeprefix("/")
        found = self._by_id.get(plain) or self._by_name.get(plain)
        if found is not None:
            return found
        matches = [self._by_id[id] for id in self._by_id if plain and id.startswith(plain)]
        if len(matches) > 1:
            raise InvalidRequest(
                f"multiple IDs found with provided prefix: {text}", code="ambiguous-container", input=text
            )
        if not matches:
            raise NotFound(f"No such container: {text}", code="no-such-container", input=text)
        return matches[0]
