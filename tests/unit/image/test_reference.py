"""image/reference.py: Docker's grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.errors import InvalidRequest
from proa.image import reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("library/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("me/app", "docker.io/me/app:latest", "me/app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("host:5000/a/b:1", "host:5000/a/b:1", "host:5000/a/b:1"),
        ("quay.io/x/y", "quay.io/x/y:latest", "quay.io/x/y:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("a__b/c.d-e--f", "docker.io/a__b/c.d-e--f:latest", "a__b/c.d-e--f:latest"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian:12@{DIGEST}", f"debian:12@{DIGEST}"),
        ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ],
)
def test_good(text: str, full: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert (str(parsed), parsed.familiar()) == (full, familiar)
    assert reference.parse(familiar) == parsed == reference.parse(full)


@pytest.mark.parametrize(
    "text",
    [
        "", ":tag", "Debian", "a/B", "-a", "a-", "a//b", "/a", "a/", "a:", "a:-x", "a:" + "t" * 129, "a" * 256, "a b",
        "a\n", "a:b\n", "ab" * 32, "a@sha256:12", "a@md5:" + "0" * 32, "a@", "host:99999999/a", "h_st.x/a", "a..b",
        "a___b", "é", "a:b:c", "../a", "http://a/b", "a\x1b[31m",
    ],
)  # fmt: skip
def test_bad(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reference.parse(text)
    assert caught.value.code == "reference-invalid" and str(caught.value).isprintable()


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidRequest:
        return
    assert reference.parse(str(parsed)) == parsed


def test_a_long_name_takes_no_time() -> None:
    with pytest.raises(InvalidRequest):
        reference.parse("a-" * 100_000)
    with pytest.raises(InvalidRequest):
        reference.parse("a." * 120 + "/b")
