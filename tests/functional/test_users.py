"""-u and USER: numbers, names, groups, home."""

from __future__ import annotations

import pytest

from support.box import IMAGE, Box

WHO = "id -u; id -g; id -G; echo $HOME"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("app", ["1000", "1000", "1000 1003", "/home/app"]),
        ("1000", ["1000", "1000", "1000 1003", "/home/app"]),
        ("other", ["1001", "1002", "1002 1003", "/home/other"]),
        ("app:others", ["1000", "1002", "1002", "/home/app"]),
        ("1000:0", ["1000", "0", "0", "/home/app"]),
        ("12345", ["12345", "0", "0", "/"]),
        ("12345:54321", ["12345", "54321", "54321", "/"]),
        ("root", ["0", "0", "0", "/root"]),
    ],
)
def test_user(box: Box, user: str, expected: list[str]) -> None:
    assert box.run("-u", user, IMAGE, "sh", "-c", WHO).lines == expected


def test_unknown_user(box: Box) -> None:
    result = box.run("-u", "nobody-here", IMAGE, "true")
    assert result.code in (125, 126)
    assert "unable to find user nobody-here: no matching entries in passwd file" in result.error


def test_unknown_group(box: Box) -> None:
    result = box.run("-u", "app:no-group", IMAGE, "true")
    assert result.code in (125, 126)
    assert "unable to find group no-group: no matching entries in group file" in result.error


def test_an_ordinary_user_has_no_capabilities(box: Box) -> None:
    status = box.run("-u", "app", IMAGE, "grep", "Cap", "/proc/self/status").text
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t00000000a80425fb" in status


def test_an_ordinary_user_can_write_its_output(box: Box) -> None:
    result = box.run(
        "-u", "app", IMAGE, "sh", "-c", "echo a > /dev/stdout; echo b > /dev/stderr; echo c > /proc/self/fd/1"
    )
    assert (result.lines, result.error) == (["a", "c"], "b")


def test_the_images_user(box: Box, image_tar: object) -> None:
    box.cli("import", "-c", "USER other", str(image_tar), "user-image").ok()
    assert box.run("user-image", "id", "-un").text == "other"
    assert box.run("-u", "0", "user-image", "id", "-u").text == "0"
    box.cli("rmi", "user-image").ok()
