"""image/changes.py: --change, as docker import reads it."""

from __future__ import annotations

from typing import Any

import pytest

from proa.errors import InvalidRequest
from proa.image.changes import apply


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("CMD echo $HOME", {"Cmd": ["/bin/sh", "-c", "echo $HOME"]}),
        ("cmd [not json", {"Cmd": ["/bin/sh", "-c", "[not json"]}),
        ('ENTRYPOINT ["/x"]', {"Entrypoint": ["/x"]}),
        ("ENV A=1 B='x y' C=\"q\\\"r\" D=e\\ f", {"Env": ["A=1", "B=x y", 'C=q"r', "D=e f"]}),
        ("ENV A some text", {"Env": ["A=some text"]}),
        ("LABEL a=b c=", {"Labels": {"a": "b", "c": ""}}),
        ("EXPOSE 80 53/udp 8-9", {"ExposedPorts": {p: {} for p in ("80/tcp", "53/udp", "8/tcp", "9/tcp")}}),
        ("USER 1:2", {"User": "1:2"}),
        ("WORKDIR a/../b", {"WorkingDir": "/b"}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a"]', {"Volumes": {"/a": {}}}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD test -f /x",
            {"Healthcheck": {"Test": ["CMD-SHELL", "test -f /x"], "Interval": 90 * 10**9, "Retries": 2}},
        ),
        ('HEALTHCHECK CMD ["a","b"]', {"Healthcheck": {"Test": ["CMD", "a", "b"]}}),
        ('HEALTHCHECK CMD ["/bin/sh","b"]', {"Healthcheck": {"Test": ["CMD", "/bin/sh", "b"]}}),
    ],
)  # fmt: skip
def test_one(change: str, expected: dict[str, Any]) -> None:
    assert apply({}, [change]) == expected


def test_later_changes_build_on_earlier_ones() -> None:
    start = {"Env": ["A=1", "B=2"], "WorkingDir": "/w"}
    assert apply(start, ["ENV A=3", "WORKDIR sub", "LABEL x=1", "LABEL y=2"]) == {
        "Env": ["B=2", "A=3"],
        "WorkingDir": "/w/sub",
        "Labels": {"x": "1", "y": "2"},
    }
    assert start["Env"] == ["A=1", "B=2"]


@pytest.mark.parametrize(
    "change",
    ["", "RUN x", "FROM x", "CMD", "ENV", "ENV A", "ENV =1", "ENV A='x", "EXPOSE x", "EXPOSE 0", "EXPOSE 70000",
     "EXPOSE 80/xyz", "EXPOSE 9-8", "HEALTHCHECK FOO", "HEALTHCHECK --interval=x CMD y", "HEALTHCHECK --foo=1 CMD y",
     "HEALTHCHECK CMD", "LABEL a"],
)  # fmt: skip
def test_invalid(change: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        apply({}, [change])
    assert caught.value.code == "change-invalid"
