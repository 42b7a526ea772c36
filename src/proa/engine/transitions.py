"""What may be done to a container in which state: one table, Docker's words for what may not.

A cell is ``None`` (allowed), ``NOTHING`` (already so: HTTP 304) or the text of a Conflict, with ``{id}`` and
``{name}`` filled in.
"""

from typing import Literal

from ..errors import Conflict

Status = Literal["created", "running", "paused", "exited", "removing"]
Action = Literal["start", "stop", "kill", "pause", "unpause", "attach", "exec", "resize", "remove", "rename"]

NOTHING = "\0nothing"
_NOT_RUNNING = "container {id} is not running"
_REMOVING = "removal of container {name} is already in progress"
_STILL = "cannot remove container {name!q}: container is {status}: stop the container before removing or force remove"

TABLE: dict[Action, dict[Status, str | None]] = {
    "start": {
        "created": None,
        "exited": None,
        "running": NOTHING,
        "paused": "cannot start a paused container, try unpause instead",
        "removing": "container is marked for removal and cannot be started",
    },
    "stop": {"created": NOTHING, "exited": NOTHING, "running": None, "paused": None, "removing": NOTHING},
    "kill": {
        "created": _NOT_RUNNING,
        "exited": _NOT_RUNNING,
        "running": None,
        "paused": None,
        "removing": _NOT_RUNNING,
    },
    "pause": {
        "created": _NOT_RUNNING,
        "exited": _NOT_RUNNING,
        "running": None,
        "paused": "Container {id} is already paused",
        "removing": _NOT_RUNNING,
    },
    "unpause": {
        "created": "Container {id} is not paused",
        "exited": "Container {id} is not paused",
        "running": "Container {id} is not paused",
        "paused": None,
        "removing": "Container {id} is not paused",
    },
    "attach": {
        "created": None,
        "exited": None,
        "running": None,
        "paused": "container {name} is paused, unpause the container before attach",
        "removing": _NOT_RUNNING,
    },
    "exec": {
        "created": _NOT_RUNNING,
        "exited": _NOT_RUNNING,
        "running": None,
        "paused": "Container {name} is paused, unpause the container before exec",
        "removing": _NOT_RUNNING,
    },
    "resize": {
        "created": _NOT_RUNNING,
        "exited": _NOT_RUNNING,
        "running": None,
        "paused": None,
        "removing": _NOT_RUNNING,
    },
    "remove": {"created": None, "exited": None, "running": _STILL, "paused": _STILL, "removing": _REMOVING},
    "rename": {"created": None, "exited": None, "running": None, "paused": None, "removing": _REMOVING},
}

_CODES = {NOTHING: "", _NOT_RUNNING: "container-not-running", _REMOVING: "container-removing"}


class NotModified(Exception):
    """The container is already in the state that was asked for: no error, HTTP 304."""


def check(action: Action, status: Status, *, id: str, name: str) -> None:
    """Raises NotModified or Conflict unless ``action`` may be done to a container in ``status``."""
    text = TABLE[action][status]
    if text is None:
        return
    if text == NOTHING:
        raise NotModified
    quoted = f'"/{name}"'
    what = text.replace("{name!q}", quoted).replace("{id}", id).replace("{name}", name).replace("{status}", status)
    raise Conflict(what, code=_CODES.get(text, f"container-{status}"), input=name)
