"""``--ulimit nofile=1024:2048``: setrlimit(2) by short names."""

from .. import NAME
from ..errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def ulimit(text: str) -> "dict[str, Any]":
    """One limit as the API has it; a single number is both soft and hard. Raises InvalidRequest."""
    name, equals, value = text.partition("=")
    soft, colon, hard = value.partition(":")
    try:
        if not name or not equals:
            raise ValueError("it is not NAME=SOFT[:HARD]")
        low = int(soft)
        high = int(hard) if colon else low
        if low > high >= 0:
            raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    except ValueError as problem:
        raise InvalidRequest(
            f'invalid argument "{text}" for "--ulimit" flag: {problem}',
            code="flag-argument",
            input=text,
            next_step=f"{NAME} run --ulimit nofile=1024:2048 …",
            exit=125,
        ) from problem
    return {"Name": name, "Soft": low, "Hard": high}
