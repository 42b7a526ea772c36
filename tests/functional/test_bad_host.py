"""A host that is not as it should be: one clear line with a code, the right exit status, and nothing left."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.test_bad_input import _cli as cli
from functional.test_bad_input import _one_line_with_a_code as one_line
from support.box import IMAGE, Result, clean_environment, command

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="breaks a host in a mount namespace of its own")
VM = ("run", "--rm", "--isolation", "vm", "--network", "none", IMAGE, "true")
RUN = ("run", "--rm", "--network", "none", IMAGE)


@pytest.fixture
def root() -> Iterator[Path]:
    """Where an engine may be made on a broken host."""
    with tempfile.TemporaryDirectory(prefix="proa-") as folder:
        yield Path(folder)
        cli(Path(folder), "engine", "stop", "--all")


def broken(root: Path, script: str, *arguments: str, **env: str) -> Result:
    """``proa arguments`` in a mount namespace in which ``script`` has run. Its engine lives on there."""
    words = ["unshare", "--mount", "sh", "-ec", script + '\nexec "$@"', "sh", *command(), *arguments]
    environment = {**clean_environment(PROA_ROOT=str(root), **env), "ROOT": str(root)}
    done = subprocess.run(words, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    return Result(done.returncode, done.stdout, done.stderr)


NO_QEMU = """
for qemu in /usr/bin/qemu-system-* /usr/local/bin/qemu-system-*; do
    [ ! -e "$qemu" ] || mount --bind /dev/null "$qemu"
done
"""
NO_PARTS = 'mkdir -p "$ROOT/none"; [ ! -d /var/lib/proa/parts ] || mount --bind "$ROOT/none" /var/lib/proa/parts\n'
NO_KERNEL = NO_PARTS + 'mount --bind "$ROOT/none" /boot\n'
FULL = 'mkdir -p "$ROOT/state"; mount -t tmpfs -o size=3m,mode=711 none "$ROOT/state"\n'


def test_no_qemu(root: Path, image_tar: Path) -> None:
    broken(root, NO_PARTS + NO_QEMU, "import", str(image_tar), IMAGE).ok()
    result = cli(root, *VM)
    one_line(result, "qemu-missing")
    assert result.code == 125 and "proa setup" in result.error
    assert cli(root, "ps", "-aq").text == ""
    assert cli(root, *RUN[:-1], "--isolation", "process", IMAGE, "echo", "works").text == "works"


def test_no_kernel(root: Path, image_tar: Path) -> None:
    broken(root, NO_KERNEL, "import", str(image_tar), IMAGE).ok()
    result = cli(root, *VM)
    one_line(result)
    assert result.code == 125 and "proa setup" in result.error
    assert cli(root, "ps", "-aq").text == ""


@pytest.mark.parametrize(
    "data", [b"", b"not a kernel\n" * 1000, b"\x7fELF" + b"\0" * 5000], ids=["empty", "text", "elf"]
)
def test_a_kernel_that_is_none(root: Path, image_tar: Path, data: bytes) -> None:
    kernel = root / "state/parts/kernel"
    (kernel / "root/boot").mkdir(parents=True)
    (kernel / "root/lib/modules/6.1.0/kernel").mkdir(parents=True)
    (kernel / "root/boot/vmlinuz-6.1.0").write_bytes(data)
    (kernel / "complete").write_text('{"packages": [], "versions": {}, "time": 0}')
    cli(root, "import", str(image_tar), IMAGE).ok()
    result = cli(root, *VM)
    one_line(result, "not-a-kernel")
    assert result.code == 125
    assert cli(root, "ps", "-aq").text == ""


def test_a_full_state_directory(root: Path, image_tar: Path) -> None:
    """An import that does not fit leaves nothing, and the engine goes on; so does a container that cannot be made."""
    big = root / "big.tar"
    subprocess.run(["tar", "-cf", big, "-C", "/usr/bin", "bash", "perl"], check=True)
    result = broken(root, FULL, "import", str(big), "big")
    one_line(result)
    assert result.code == 1 and "space" in result.error.lower()
    assert cli(root, "images", "-q").text == ""
    result = cli(root, "import", str(image_tar), IMAGE)
    if result.code:
        one_line(result)
    assert cli(root, "ps", "-aq").ok().text == ""


def test_a_state_directory_that_fills_up(root: Path, image_tar: Path) -> None:
    """A program fills the disk: it hears ENOSPC; the engine still answers, ends it, removes it and starts anew."""
    broken(root, FULL.replace("3m", "90m"), "import", str(image_tar), IMAGE).ok()
    result = cli(root, *RUN, "sh", "-c", "dd if=/dev/zero of=/x bs=1M count=100 2>/dev/null; echo $?; ls -l /x | wc -l")
    assert result.lines == ["1", "1"], result
    assert cli(root, "run", "-d", "--name", "full", "--network", "none", IMAGE, "sh", "-c",
               "dd if=/dev/zero of=/x bs=1M; seq 1 100000; sleep 600").code in (0, 125)  # fmt: skip
    cli(root, "rm", "-f", "full").ok()
    assert cli(root, *RUN, "echo", "again").text == "again"
    assert cli(root, "ps", "-aq").ok().text == ""


def test_a_read_only_run_directory(root: Path) -> None:
    script = 'mkdir -p "$ROOT/run"; mount --bind "$ROOT/run" "$ROOT/run"; mount -o remount,ro,bind "$ROOT/run"'
    result = broken(root, script, "ps")
    assert result.code != 0
    one_line(result)


def test_hostile_site_directories(root: Path, image_tar: Path, tmp_path: Path) -> None:
    """A ``.pth`` file and a usercustomize in the user's site directory, and modules where the command is started: none
    of them runs in any program of ours, whatever hull."""
    trap = f"import os; os.open({str(tmp_path / 'trapped')!r}, os.O_CREAT)"
    version = f"python{os.sys.version_info[0]}.{os.sys.version_info[1]}"  # type: ignore[attr-defined]
    for site in (tmp_path / ".local/lib" / version / "site-packages", tmp_path / "lib" / version / "site-packages"):
        site.mkdir(parents=True)
        (site / "evil.pth").write_text(trap + "\n")
        (site / "usercustomize.py").write_text(trap)
        (site / "sitecustomize.py").write_text(trap)
    for name in ("proa", "msgspec", "h11", "asyncio", "struct", "select", "fcntl", "site", "encodings"):
        (tmp_path / f"{name}.py").write_text(trap)
    env = {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONUSERBASE": str(tmp_path / ".local"),
        "PYTHONBREAKPOINT": "proa.trap",
        "PYTHONWARNINGS": "error",
        "PYTHONDEVMODE": "1",
    }
    cli(root, "import", str(image_tar), IMAGE, cwd=tmp_path, **env).ok()
    assert cli(root, *RUN, "echo", "works", cwd=tmp_path, **env).text == "works"
    name = cli(root, "run", "-d", "--network", "none", IMAGE, "sleep", "600", cwd=tmp_path, **env).ok().text
    assert cli(root, "exec", name, "env", cwd=tmp_path, **env).ok().text.count("PYTHON") == 0
    cli(root, "doctor", cwd=tmp_path, **env)
    cli(root, "rm", "-f", name, cwd=tmp_path, **env).ok()
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("user", [("--uid", "65534"), ("--uid", "0")], ids=["nobody", "root without a capability"])
def test_devices_where_none_can_be_made(image_tar: Path, user: tuple[str, str]) -> None:
    """An image with devices, on the floor: it is kept whole (a VM has them); no container comes of half of it."""
    with tempfile.TemporaryDirectory(prefix="proa-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "devices.tar"
        with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, kind in (("null", tarfile.CHRTYPE), ("disk", tarfile.BLKTYPE), ("queue", tarfile.FIFOTYPE)):
                info = tarfile.TarInfo(f"dev/{name}")
                info.type, info.devmajor, info.devminor, info.mode = kind, 1, 3, 0o666
                tar.addfile(info)
        launch = Path(__file__).parents[1] / "floor/launch.py"
        home = f"{folder}/home"

        def floor(*arguments: str) -> Result:
            words = ["/usr/bin/python3", str(launch), *user, "--home", home, "--", *command(), *arguments]
            env = clean_environment(PROA_ROOT=f"{home}/p")
            done = subprocess.run(words, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
            return Result(done.returncode, done.stdout, done.stderr)

        try:
            floor("import", str(file), "devices").ok()
            result = floor("run", "--rm", "--network", "none", "devices", "true")
            assert result.code == 125
            one_line(result)
            assert floor("ps", "-aq").ok().text == ""
            floor("rmi", "devices").ok()
        finally:
            floor("engine", "stop", "--all")
