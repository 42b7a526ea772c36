"""``--filter key=value`` as the API's ``filters``: a JSON map of key → {value: true}."""

from .. import jsontext
from ..errors import InvalidRequest


def encode(given: "list[str]") -> str | None:
    """The query value; None where nothing was asked. Raises InvalidRequest."""
    found: dict[str, dict[str, bool]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidRequest(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)',
                code="invalid-filter",
                input=text,
                exit=125,
            )
        found.setdefault(name.strip().lower(), {})[value.strip()] = True
    return jsontext.dumps(found).decode("ascii") if found else None
