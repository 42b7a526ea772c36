"""The default seccomp filter, compiled once for each set of capabilities and kept as STATE/seccomp/KEY.bpf."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from . import spec

if TYPE_CHECKING:
    from ..places import Places
    from .records import Record


class Filters:
    """Paths of compiled filters."""

    def __init__(self, places: Places) -> None:
        self._directory = places.state + "/seccomp"
        self._known: dict[frozenset[str], str] = {}
        self._compiling = asyncio.Lock()

    async def path(self, record: Record) -> str:
        """The filter for ``record``, "" if it is to have none. Raises HostCannot where none can be compiled."""
        if not spec.wants_seccomp(record.host):
            return ""
        chosen = frozenset(spec.chosen_capabilities(record.host))
        path = self._known.get(chosen)
        if path is None:
            async with self._compiling:
                path = await asyncio.to_thread(self._compiled, chosen)
            self._known[chosen] = path
        return path

    def _compiled(self, chosen: frozenset[str]) -> str:
        from ..runtime import seccomp  # off the engine's start: it loads libseccomp

        path = f"{self._directory}/{seccomp.key(chosen)}.bpf"
        if os.path.exists(path):
            return path
        program = seccomp.compile(chosen)
        os.makedirs(self._directory, 0o755, exist_ok=True)
        with open(path + ".new", "wb") as file:
            file.write(program)
        os.rename(path + ".new", path)
        return path
