"""Honest small answers for nouns that come later: clients ask for these lists before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import HostCannot, NotFound
from .message import Request, json_reply
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.wiring import Engine

_SWARM = (
    "This node is not a swarm manager. "
    'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
)


class NoSwarm(HostCannot):
    """Asked for swarm: 503, in dockerd's words, which clients know."""

    status = 503
    default_code = "no-swarm"


async def networks(engine: Engine, request: Request) -> Answer:
    """No network can be made yet."""
    return json_reply([])


async def network(engine: Engine, request: Request) -> Answer:
    """None exists."""
    raise NotFound(f"network {request.name} not found", code="no-such-network", input=request.name)


async def volumes(engine: Engine, request: Request) -> Answer:
    """No volume can be made yet."""
    return json_reply({"Volumes": [], "Warnings": None})


async def volume(engine: Engine, request: Request) -> Answer:
    """None exists."""
    raise NotFound(f"get {request.name}: no such volume", code="no-such-volume", input=request.name)


async def plugins(engine: Engine, request: Request) -> Answer:
    """There are none."""
    return json_reply([])


async def pruned(engine: Engine, request: Request) -> Answer:
    """Nothing was there to prune."""
    return json_reply({"SpaceReclaimed": 0})


async def swarm(engine: Engine, request: Request) -> Answer:
    """This is no cluster."""
    raise NoSwarm(_SWARM)


ROUTES: list[Route] = [
    ("GET", "/networks", networks),
    ("GET", "/networks/{}", network),
    ("POST", "/networks/prune", pruned),
    ("GET", "/volumes", volumes),
    ("GET", "/volumes/{}", volume),
    ("POST", "/volumes/prune", pruned),
    ("GET", "/plugins", plugins),
    ("GET", "/swarm", swarm),
    ("GET", "/nodes", swarm),
    ("GET", "/services", swarm),
    ("GET", "/tasks", swarm),
    ("GET", "/secrets", swarm),
    ("GET", "/configs", swarm),
]
