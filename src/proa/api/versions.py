"""Which versions of Docker's API are spoken here."""

from ..errors import InvalidRequest

NEWEST = (1, 45)
OLDEST = (1, 24)


def text(version: tuple[int, int]) -> str:
    """``1.45``."""
    return f"{version[0]}.{version[1]}"


def check(version: tuple[int, int]) -> None:
    """Raises InvalidRequest with dockerd's words for a version that is too new or too old."""
    if version > NEWEST:
        raise InvalidRequest(
            f"client version {text(version)} is too new. Maximum supported API version is {text(NEWEST)}",
            code="api-version-too-new",
        )
    if version < OLDEST:
        raise InvalidRequest(
            f"client version {text(version)} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version",
            code="api-version-too-old",
        )
