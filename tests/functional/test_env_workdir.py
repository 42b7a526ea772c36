"""-e, --env-file, -w, and what the image says about them."""

from __future__ import annotations

from pathlib import Path

from support.box import IMAGE, Box


def test_env(box: Box) -> None:
    assert box.run(
        "-e", "A=1", "--env", "B=two words", "-e", "C=", IMAGE, "sh", "-c", 'echo "$A|$B|${C-unset}"'
    ).text == ("1|two words|")


def test_env_from_the_caller(box: Box) -> None:
    result = box.run("-e", "GIVEN", "-e", "MISSING", IMAGE, "sh", "-c", "echo $GIVEN ${MISSING-unset}", GIVEN="yes")
    assert result.text == "yes unset"


def test_the_last_one_counts(box: Box) -> None:
    assert box.run("-e", "A=1", "-e", "A=2", IMAGE, "sh", "-c", "env | grep ^A=").text == "A=2"


def test_env_bytes(box: Box) -> None:
    assert box.run("-e", "A=ü\tx", IMAGE, "sh", "-c", 'printf %s "$A" | od -An -tx1').text.split() == (
        "c3 bc 09 78".split()
    )


def test_env_file(box: Box, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1\nB=with spaces # kept\nGIVEN\nMISSING\n")
    result = box.run("--env-file", str(file), "-e", "A=over", IMAGE, "env", GIVEN="yes")
    assert {"A=over", "B=with spaces # kept", "GIVEN=yes"} <= set(result.lines)
    assert "MISSING" not in result.text


def test_env_file_that_is_wrong(box: Box, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A B=1\n")
    result = box.run("--env-file", str(file), IMAGE, "true")
    assert result.code == 125
    assert box.run("--env-file", str(tmp_path / "none"), IMAGE, "true").code == 125


def test_workdir(box: Box) -> None:
    assert box.run("-w", "/tmp", IMAGE, "pwd").text == "/tmp"
    assert box.run(IMAGE, "pwd").text == "/"


def test_workdir_is_made(box: Box) -> None:
    result = box.run("-w", "/made/for/you", IMAGE, "sh", "-c", "pwd; stat -c %a:%u .")
    assert result.lines == ["/made/for/you", "755:0"]


def test_workdir_that_is_a_file(box: Box) -> None:
    result = box.run("-w", "/plain", IMAGE, "true")
    assert result.code in (125, 126)
    assert "not a directory" in result.error.lower()


def test_relative_workdir(box: Box) -> None:
    result = box.run("-w", "tmp", IMAGE, "true")
    assert result.code == 125
    assert "it needs to be an absolute path" in result.error


def test_workdir_cannot_leave_by_a_descriptor(box: Box) -> None:
    for number in range(3, 12):
        result = box.run("-w", f"/proc/self/fd/{number}", IMAGE, "sh", "-c", "cat ../../etc/shadow; ls ../../..")
        assert "root:" not in result.text


def test_path_of_the_container_finds_the_program(box: Box) -> None:
    assert box.run("-e", "PATH=/nowhere", IMAGE, "true").code == 127
    assert box.run("-e", "PATH=/nowhere:/bin", IMAGE, "echo", "x").text == "x"


def test_the_images_settings(box: Box, image_tar: Path) -> None:
    changes = ["ENV A=image", "WORKDIR /work", 'ENTRYPOINT ["echo", "entry"]', 'CMD ["cmd"]', "LABEL k=v"]
    box.cli("import", *(word for change in changes for word in ("-c", change)), str(image_tar), "set").ok()
    assert box.run("set").text == "entry cmd"
    assert box.run("set", "other").text == "entry other"
    assert box.run("--entrypoint", "sh", "set", "-c", "echo $A $PWD").text == "image /work"
    box.cli("rmi", "set").ok()
