"""Ids and names of containers: made, checked."""

import os
import re

from ..errors import InvalidRequest

NAME_PATTERN = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_VALID = re.compile(f"{NAME_PATTERN}+")

_FIRST = (
    "able amber ample azure balmy bold brave breezy bright brisk calm candid clear clever coral cosy crisp daring "
    "deft eager early easy fair fast fine fleet fresh gallant gentle glad golden grand happy hardy jolly keen kind "
    "light lively loyal lucid lucky mellow merry mild neat nimble noble open patient placid plucky polite prime proud "
    "quick quiet rapid ready ruddy sage salty serene sharp silver smart snug solid spry stable steady still stout "
    "sunny sure swift tidy tranquil trim true trusty upbeat vivid warm wide windy wise witty zesty"
).split()
_SECOND = (
    "anchor atoll ballast bay beacon boom bow bowsprit breeze buoy cabin canoe canvas capstan catamaran cay channel "
    "cleat clipper coast compass coral cove crew current cutter deck delta dhow dinghy dolphin drift estuary ferry "
    "fjord foam galley gulf halyard harbour heron hull inlet island isthmus jetty jib junk keel kelp ketch knot lagoon "
    "lantern launch lighthouse locker mainsail marlin mast mooring oar outrigger paddle pearl pelican pier pilot port "
    "prow quay raft reef rigging rudder sail sampan schooner sextant shoal shore skiff sloop sound spar spray "
    "starboard stern strait surf swell tack tern tide tiller trawler trimaran voyage wake wave wharf yawl"
).split()


def new_id() -> str:
    """A fresh id, 64 hex digits; never all decimal in its first twelve, which would read as a number."""
    while True:
        id = os.urandom(32).hex()
        if not id[:12].isdecimal():
            return id


def suggest() -> str:
    """A name that people can say."""
    first, second, number = os.urandom(1)[0], os.urandom(1)[0], os.urandom(2)
    return f"{_FIRST[first % len(_FIRST)]}_{_SECOND[second % len(_SECOND)]}{int.from_bytes(number) % 1000}"


def check(name: str) -> str:
    """``name`` without its leading slash. Raises InvalidRequest in dockerd's words."""
    plain = name.removeprefix("/")
    if not _VALID.fullmatch(plain) or len(plain) > 255:
        raise InvalidRequest(
            f"Invalid container name ({name}), only {NAME_PATTERN} are allowed", code="invalid-name", input=name
        )
    return plain
