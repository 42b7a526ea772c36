"""jsontext says what the standard library's json says, and turns every malformed document into ValueError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa import jsontext

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_round_trip_agrees_with_the_standard_library(value: object) -> None:
    assert jsontext.loads(jsontext.dumps(value)) == value
    assert json.loads(jsontext.dumps(value)) == value
    assert jsontext.loads(json.dumps(value, indent=1)) == value


@given(st.binary(max_size=200))
def test_hostile_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        value = jsontext.loads(data)
    except ValueError:
        return
    assert json.loads(data.decode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]]", b"[" * 200_000, b"NaN", b"-Infinity", b"9" * 5000, b"\xff", b'{"a"}']
)
def test_malformed_documents(text: bytes) -> None:
    with pytest.raises(ValueError):
        jsontext.loads(text)


def test_what_json_cannot_say_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        jsontext.dumps({"a": object()})
