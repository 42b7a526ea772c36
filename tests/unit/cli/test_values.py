"""Numbers, times, keys, templates, tables, environment files, mounts: what people type and read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proa.cli import envfile, filters, jsonview, keys, mounts, quantities, references, times, ulimit
from proa.cli.table import quote, render, shorten
from proa.cli.template import Template, closed, fields
from proa.errors import InvalidRequest, ProaError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("512", 512),
        ("64b", 64),
        ("512m", 512 << 20),
        ("1.5g", 3 << 29),
        ("1GB", 1 << 30),
        ("64KiB", 64 << 10),
        ("2T", 2 << 40),
        ("64 m", 64 << 20),
        ("-1", -1),
        (".5k", 512),
    ],
)
def test_size(text: str, value: int) -> None:
    assert quantities.size(text) == value


@pytest.mark.parametrize("text", ["", "abc", "1x", "m", "1..2m", "-5", "1kk", "\u0661m", "1,5g"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError):
        quantities.size(text)


@given(some.text(max_size=12))
def test_size_never_breaks(text: str) -> None:
    try:
        assert quantities.size(text) >= -1
    except ValueError:
        pass


def test_decimal() -> None:
    assert quantities.decimal("0.5") == 500_000_000
    assert quantities.decimal("2") == 2_000_000_000
    assert quantities.decimal("1.000000001") == 1_000_000_001
    for text in ("1.0000000001", "x", "", "-1"):
        with pytest.raises(ValueError):
            quantities.decimal(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_996_800, "2MB"), (1_236_000, "1.24MB"), (123_456_789, "123MB")],
)
def test_human_size(value: int, text: str) -> None:
    assert quantities.human_size(value) == text


def test_human_binary() -> None:
    assert quantities.human_binary(2_087_358_464) == "1.944GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (61, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (72 * 3600, "3 days"),
        (15 * 86400, "2 weeks"),
        (70 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert quantities.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("1700000000", "1700000000"),
        ("1700000000.5", "1700000000.5"),
        ("10m", "400.000000000"),
        ("1h30m", None),
        ("1970-01-02T00:00:00Z", "86400.000000000"),
        ("2026-11-24T10:00:00.25Z", "1795514400.250000000"),
        ("2026-11-24T12:00:00+02:00", "1795514400.000000000"),
        ("2000-02-29T00:00:00Z", "951782400.000000000"),
    ],
)
def test_point_in_time(text: str, point: str | None) -> None:
    found = times.point(text, now=1000.0)
    assert found == point if point else float(found) == 1000.0 - 5400


def test_date_in_our_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert times.point("2026-11-24") == "1795449600.000000000"
        assert times.show_local(1_795_514_400_000_000_001) == "2026-11-24T18:00:00.000000001+08:00"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "yesterday", "10", "10x", "2026-13-01", "2026-01-01T25:00:00Z", "1m2", "-5"])
def test_no_point_in_time(text: str) -> None:
    if text == "10":
        assert times.point(text) == "10"
        return
    with pytest.raises(InvalidRequest):
        times.point(text)


@given(some.integers(1970, 2200), some.integers(1, 12), some.integers(1, 28))
def test_days(year: int, month: int, day: int) -> None:
    import datetime

    assert times.days(year, month, day) == (datetime.date(year, month, day) - datetime.date(1970, 1, 1)).days


def test_detach_keys() -> None:
    assert keys.sequence("") == b"\x10\x11"
    assert keys.sequence("ctrl-@,a,ctrl-_") == b"\x00a\x1f"
    for text in ("ctrl-", "ab", "ctrl-é", ","):
        with pytest.raises(InvalidRequest):
            keys.sequence(text)


@given(some.lists(some.binary(max_size=3)))
def test_watch_sees_the_sequence_in_any_pieces(pieces: list[bytes]) -> None:
    watch = keys.Watch(b"\x10\x11")
    for piece in [*pieces, b"\x10", b"\x11"]:
        watch.feed(piece)
    assert watch.seen


def test_watch_needs_it_whole() -> None:
    watch = keys.Watch(b"\x10\x11")
    watch.feed(b"\x10x\x11\x10\x10")
    assert not watch.seen
    watch.feed(b"\x11")
    assert watch.seen


VALUE: dict[str, Any] = {
    "Name": "/web",
    "State": {"Pid": 7, "Running": True, "Error": None},
    "Cmd": ["sh", "-c"],
    "Labels": {"b": "2", "a": "1"},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Name}}", "/web"),
        ("pid={{ .State.Pid }}", "pid=7"),
        ("{{.State.Running}}", "true"),
        ("{{.State.Error}} {{.Nope}}", "<no value> <no value>"),
        ("{{.Cmd}}", "[sh -c]"),
        ("{{.Labels}}", "map[a:1 b:2]"),
        ("{{json .Cmd}}", '["sh","-c"]'),
        ("{{json .}}", None),
        ("{{.Cmd | json}}", '["sh","-c"]'),
        ("{{upper .Name}}", "/WEB"),
        ('{{join .Cmd ", "}}', "sh, -c"),
        ('{{index .Labels "a"}}', "1"),
        ("{{index .Cmd 1}}", "-c"),
        ("{{len .Cmd}}", "2"),
        ("{{(index .Cmd 0)}}", "sh"),
        ("{{upper (index .Cmd 0)}}", "SH"),
        ("a\\tb\\n{{.Name}}", "a\tb\n/web"),
        ("a  {{- .Name -}}  b", "a/webb"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_template(template: str, text: str | None) -> None:
    assert text is None or Template(template).render(VALUE) == text


@pytest.mark.parametrize(
    "template",
    ["{{", "{{}}", "{{.Name", "{{if .Name}}x{{end}}", "{{nope .Name}}", "{{.Name | }}", '{{"x}}', "{{.Name.X}}"],
)
def test_template_mistakes(template: str) -> None:
    with pytest.raises(InvalidRequest):
        Template(template).render(VALUE)


def test_a_row_has_no_other_fields() -> None:
    with pytest.raises(InvalidRequest, match="no such field"):
        Template("{{.Nope}}").render(closed({"ID": "x"}))


def test_fields_of_a_template() -> None:
    assert fields("table {{.ID}}\t{{.Labels | json}}") == ["ID", "Labels"]


def test_table() -> None:
    rows = ["CONTAINER ID\tIMAGE\tNAMES", "0123456789ab\tbb\tweb", "x\ta-longer-image\tdb"]
    assert render(rows) == (
        "CONTAINER ID   IMAGE            NAMES\n"
        "0123456789ab   bb               web\n"
        "x              a-longer-image   db\n"
    )


def test_shorten_and_quote() -> None:
    assert shorten("sh -c 'while true; do", 20) == "sh -c 'while true; …"
    assert quote('a"b\\\n\x01é') == '"a\\"b\\\\\\n\\x01é"'


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbfA=1\n# no\n\n  B=two words\r\nHOME_OF_NOBODY\nPATH\nC=\xff\n")
    monkeypatch.setitem(envfile.posix.environ, b"PATH", b"/bin")
    assert envfile.lines(str(path), own=True) == ["A=1", "B=two words", "PATH=/bin", "C=\udcff"]
    path.write_text("a b=1\n")
    with pytest.raises(InvalidRequest, match="whitespaces"):
        envfile.lines(str(path), own=True)
    with pytest.raises(InvalidRequest, match="no such file"):
        envfile.lines(str(tmp_path / "nope"), own=True)


def test_env() -> None:
    assert envfile.resolve(["A=", "B=1=2", "SURELY_NOT_SET_ANYWHERE"]) == ["A=", "B=1=2"]
    with pytest.raises(InvalidRequest):
        envfile.resolve(["=x"])


def test_binds() -> None:
    assert mounts.bind("./a:/b:ro", "/home/x") == "/home/x/a:/b:ro"
    assert mounts.bind("../a:/b", "/home/x") == "/home/a:/b"
    assert mounts.bind("name:/b", "/home/x") == "name:/b"
    assert not mounts.is_bind("/data")


def test_mount() -> None:
    assert mounts.mount("type=bind,src=/a,dst=/b,readonly") == {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
    }
    assert mounts.mount("type=tmpfs,target=/t,tmpfs-size=1m")["TmpfsOptions"] == {"SizeBytes": 1 << 20}
    for text in ("type=bind", "bogus", "type=bind,target=/x,nope=1"):
        with pytest.raises(InvalidRequest):
            mounts.mount(text)


def test_ulimit() -> None:
    assert ulimit.ulimit("nofile=10:20") == {"Name": "nofile", "Soft": 10, "Hard": 20}
    assert ulimit.ulimit("core=-1") == {"Name": "core", "Soft": -1, "Hard": -1}
    for text in ("nofile", "nofile=x", "nofile=20:10", "=1"):
        with pytest.raises(InvalidRequest):
            ulimit.ulimit(text)


def test_filters() -> None:
    assert filters.encode([]) is None
    assert filters.encode(["label=a=b", "label=c", "status=exited"]) == (
        '{"label":{"a=b":true,"c":true},"status":{"exited":true}}'
    )
    with pytest.raises(ProaError, match="bad format of filter"):
        filters.encode(["nope"])


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a", ("a", "")), ("a:b", ("a", "b")), ("h:5000/a", ("h:5000/a", "")), ("h:5000/a:b", ("h:5000/a", "b"))],
)
def test_reference(name: str, parts: tuple[str, str]) -> None:
    assert references.split(name) == parts


def test_indented_json() -> None:
    import json

    value = [{"a": [], "b": {}, "c": [1, "é", None, True, 1.5], "d": {"e": "x"}}]
    assert jsonview.indented(value) == json.dumps(value, indent=4, ensure_ascii=False)
