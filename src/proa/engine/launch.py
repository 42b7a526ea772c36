"""A record into a bundle and the bundle into a running program: root, spec, bundle, hull, in that order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..hull import messages, records
from ..hull.contract import Hull
from . import binds, hostfiles, logoptions, spec

if TYPE_CHECKING:
    from ..hull.bundle import Bundle
    from ..hull.contract import Handle
    from ..places import Places
    from ..rootfs.contract import Root
    from .container import Container
    from .hulls import Host, Hulls
    from .images import Images
    from .seccomp import Filters


def log_path(places: Places, id: str) -> str:
    """Where a container's json-file log is."""
    return f"{places.container(id)}/{id}-json.log"


def shim_socket(places: Places, id: str) -> str:
    """Where a container's shim listens."""
    return places.shim_socket(id[:16])


class Launch:
    """Knows the host, the hulls and the images; keeps nothing of containers."""

    def __init__(
        self, engine_id: str, places: Places, host: Host, hulls: Hulls, images: Images, filters: Filters
    ) -> None:
        self.places = places
        self._engine_id = engine_id
        self._host = host
        self._hulls = hulls
        self._images = images
        self._filters = filters

    def hull(self, container: Container) -> Hull:
        """The hull that carries ``container``."""
        return self._hulls.way(container.record.hull).hull

    def hull_of_state(self, run: str) -> Hull:
        """The hull that made RUN/containers/ID, by its state.json; any one if there is none: it has nothing to end."""
        kind = (records.read(run, records.STATE) or {}).get("kind")
        ways = self._hulls.ways
        return ways[kind].hull if kind in ways else next(iter(ways.values())).hull

    def log_path(self, container: Container) -> str:
        """Where its log is."""
        return log_path(self.places, container.id)

    def remove_directory(self, path: str) -> None:
        """Remove a container's directory, whatever its image and program left in it. Blocks."""
        next(iter(self._hulls.rootfs.values())).remove(path)

    async def start(self, container: Container) -> Handle:
        """Run the program; clients that wait get attached first. Leaves nothing behind when it raises."""
        hull = self.hull(container)
        handle = await self._create(hull, await self._bundle(container))
        try:
            for pending in container.pending:
                await hull.attach(handle, "", pending.attachment, pending.fd)
            container.drop_pending()
            await hull.start(handle)
        except BaseException:
            container.drop_pending()
            await hull.delete(handle)
            raise
        return handle

    async def _create(self, hull: Hull, bundle: Bundle) -> Handle:
        """A shim; while it comes to be, the files that its container will need are written."""
        making = asyncio.ensure_future(hull.create(bundle))
        await asyncio.sleep(0)  # now the request for it is on its way
        try:
            hostfiles.write(bundle["files"])
        except OSError:
            await hull.delete(await making)
            raise
        return await making

    async def _bundle(self, container: Container) -> Bundle:
        record, host = container.record, container.record.host
        way = self._hulls.way(record.hull)
        root = await self._root(container)
        directory = self.places.container(record.id)
        binds.make_sources(host)
        return {
            "protocol": messages.PROTOCOL,
            "id": record.id,
            "kind": record.hull,
            "engine": self._engine_id,
            "directory": directory,
            "run": self.places.container_run(record.id),
            "socket": shim_socket(self.places, record.id),
            "spec": spec.spec(record, _path(root, directory), way.cgroup_version),
            "root": root.mounts,
            "disks": root.disks,
            "stdio": {
                "terminal": record.config.tty,
                "stdin": record.config.open_stdin,
                "stdin_once": record.config.stdin_once,
                "detach_keys": "",
                "log": logoptions.log(log_path(self.places, record.id), host.log_config),
            },
            "cgroup": self._host.cgroup,
            "may": self._hulls.may(self._host.cgroup),
            "seccomp": await self._filters.path(record),
            "init": host.init is True,
            "nofile": self._host.nofile,
            "fds": [],
            "volatile": host.auto_remove,
            "files": hostfiles.make(record, directory, binds.destinations(host)),
        }

    async def _root(self, container: Container) -> Root:
        record = container.record
        form = (await self._hulls.needs(record.hull)).root
        base = await self._images.base(record.image_id, form)
        rootfs = self._hulls.rootfs[form]
        directory = self.places.container(record.id)
        volatile = record.host.auto_remove
        if form == "mounts":  # three mkdirs: dearer to hand to a thread than to do
            return rootfs.prepare(directory, base, volatile=volatile)
        return await asyncio.to_thread(rootfs.prepare, directory, base, volatile=volatile)


def _path(root: Root, directory: str) -> str:
    """Where the root will be mounted; a virtual machine has a place of its own for it."""
    return root.mounts[-1]["destination"] if root.mounts else directory
