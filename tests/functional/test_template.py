"""Templates: nobody can write one; a broken or half-made one is made anew; two first VMs at once make one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crash import processes
from support.box import IMAGE, Box, proa

GET_SEALS = 1034
SEALS = 0x1 | 0x2 | 0x4 | 0x8
"""F_SEAL_SEAL, SHRINK, GROW, WRITE."""


@pytest.fixture(scope="module")
def box(image_tar: Path) -> Iterator[Box]:
    """An engine that has no template yet."""
    with proa(image_tar, "vm") as box:
        needs = box.cli("create", *box.flags, "--name", "needs", IMAGE, "true")
        if needs.code and "setup" in needs.error:
            pytest.skip(needs.error)
        box.clean()
        yield box


def home(box: Box) -> Path:
    assert box.root
    return box.root / "state" / "templates"


def directory(box: Box) -> Path:
    """The only template, once it is on the disk: its first machine starts before."""
    (found,) = [path for path in home(box).iterdir() if path.is_dir()]
    written(box, found)
    return found


def written(box: Box, template: Path) -> None:
    box.until((template / "meta.json").exists, 20)


def boots(box: Box) -> list[str]:
    """The boot_ids that the template's console tells."""
    return re.findall(r"booted (\S+)", (directory(box) / "console.log").read_text())


def boot_id(box: Box) -> str:
    return box.run(IMAGE, "cat", "/proc/sys/kernel/random/boot_id", timeout=120).ok().text


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restart(box: Box) -> None:
    """Another engine, which holds no template in memory."""
    box.cli("engine", "stop").ok()


# in this order: the first test needs an engine without a template


def test_killed_while_the_first_is_made(box: Box) -> None:
    """Engine and all: nothing half-made is taken for a template, and the next command makes one."""
    client = box.popen("run", "--rm", *box.flags, IMAGE, "true")
    processes.until(lambda: list(home(box).glob("*.new")) if home(box).exists() else [], 120)
    assert box.root
    processes.kill(processes.engine(box.root / "run"))
    client.kill()
    client.communicate()
    box.until(lambda: not _makers(box), 5)
    assert not [path for path in home(box).iterdir() if path.is_dir() and path.suffix != ".new"]
    box.clean()


def _makers(box: Box) -> list[int]:
    """Programs that make a template for this engine, and their machines."""
    return [
        pid
        for pid in processes.check.pids()
        if str(box.root) in processes.arguments(pid)
        and processes.parent(pid) >= 0
        and "template" in processes.arguments(pid)
    ]


def test_two_first_machines_make_one(box: Box) -> None:
    """Both are restored from the same boot."""
    program = ["cat", "/proc/sys/kernel/random/boot_id"]
    clients = [box.popen("run", "--rm", *box.flags, IMAGE, *program) for _ in range(2)]
    said = []
    for client in clients:
        out, err = client.communicate(timeout=60 * box.slow)
        assert client.returncode == 0, err
        said.append(out.decode().strip())
    assert said[0] == said[1]
    assert boots(box) == [said[0]]
    assert not list(home(box).glob("*.new"))


def test_another_shape_has_its_own(box: Box) -> None:
    """And the first one's stays as it is."""
    before = {path.name for path in home(box).iterdir() if path.is_dir()}
    first = boot_id(box)
    other = box.run("-m", "700m", IMAGE, "cat", "/proc/sys/kernel/random/boot_id", timeout=120).ok().text
    assert other != first
    (added,) = [path for path in home(box).iterdir() if path.is_dir() and path.name not in before]
    written(box, added)
    shutil.rmtree(added)
    assert boot_id(box) == first


def test_no_machine_can_write_it(box: Box) -> None:
    """Memory: a sealed memfd; files: never open for writing, and of another user than QEMU's."""
    files = [directory(box) / name for name in ("ram", "state", "meta.json", "console.log")]
    before = [digest(path) for path in files]
    id = box.detached(IMAGE, "sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; sleep 600")
    pid = int(box.inspect(id, "{{.State.Pid}}"))
    memory = [number for number, target in _descriptors(pid) if "memfd:proa-ram" in target]
    assert memory
    for number in memory:
        _cannot_be_written(f"/proc/{pid}/fd/{number}")
    for number, target in _descriptors(pid):
        if target.startswith(str(home(box))):
            assert _flags(pid, number) & os.O_ACCMODE == os.O_RDONLY, target
    if os.geteuid() == 0:
        assert os.stat(f"/proc/{pid}").st_uid != 0
        assert all(path.stat().st_uid == 0 and not path.stat().st_mode & 0o022 for path in files)
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    shared = [line for line in maps if "proa-ram" in line and line.split()[1][3] == "s" and "w" in line.split()[1]]
    assert shared == []
    box.cli("exec", id, "sh", "-c", "dd if=/dev/urandom of=/dev/shm/y bs=1M count=20").ok()
    box.cli("rm", "-f", id).ok()
    assert [digest(path) for path in files] == before


def _descriptors(pid: int) -> list[tuple[int, str]]:
    folder = f"/proc/{pid}/fd"
    return [(int(name), os.readlink(f"{folder}/{name}")) for name in os.listdir(folder)]


def _flags(pid: int, number: int) -> int:
    """Flags of an open descriptor: proc(5), fdinfo."""
    text = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
    return next(int(line.split()[1], 8) for line in text.splitlines() if line.startswith("flags:"))


def _cannot_be_written(path: str) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        assert fcntl.fcntl(fd, GET_SEALS) & SEALS == SEALS
        with pytest.raises(OSError) as failed:
            os.pwrite(fd, b"x", 0)
        assert failed.value.errno == errno.EPERM
        for size in (0, os.fstat(fd).st_size + 4096):
            with pytest.raises(OSError):
                os.ftruncate(fd, size)
    finally:
        os.close(fd)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Change some bytes in the middle of the first data."""
    with path.open("r+b") as file:
        at = os.lseek(file.fileno(), 0, os.SEEK_DATA) + 5000
        file.seek(at)
        data = file.read(64)
        file.seek(at)
        file.write(bytes(255 - byte for byte in data))


def spoil(path: Path) -> None:
    path.write_text('{"version": 1, "ram_si')


def remove(path: Path) -> None:
    path.unlink()


BREAKS: list[tuple[str, Callable[[Path], None]]] = [
    ("state", cut),
    ("ram", flip),
    ("ram", cut),
    ("meta.json", spoil),
]


@pytest.mark.parametrize(("name", "damage"), BREAKS, ids=[f"{name}-{damage.__name__}" for name, damage in BREAKS])
def test_a_broken_one_is_made_anew(box: Box, name: str, damage: Callable[[Path], None]) -> None:
    """Found by the next engine, and told to nobody: the command succeeds."""
    before = boot_id(box)
    restart(box)
    damage(directory(box) / name)
    after = boot_id(box)
    assert after != before
    assert boots(box) == [after]


@pytest.mark.parametrize("damage", [flip, remove], ids=["flip", "remove"])
def test_one_that_breaks_in_use_is_made_anew(box: Box, damage: Callable[[Path], None]) -> None:
    """The engine that has it in memory goes on all the same."""
    before = boot_id(box)
    damage(directory(box) / "state")
    after = boot_id(box)
    assert boots(box) == [after] and after != before


def test_one_that_cannot_be_restored_costs_no_run(box: Box) -> None:
    """Its checksums are right, its content is not: found by the machine itself, whose client hears nothing of it."""
    before = boot_id(box)
    restart(box)
    template = directory(box)
    (template / "state").write_bytes(b"nonsense" * 100)
    meta = json.loads((template / "meta.json").read_text())
    meta.update(state_size=800, state_checksum=zlib.crc32(b"nonsense" * 100))
    (template / "meta.json").write_text(json.dumps(meta))
    script = "cat /proc/sys/kernel/random/boot_id; cat"
    result = box.run("-i", IMAGE, "sh", "-c", script, input=b"typed early", timeout=120).ok()
    after, typed = result.text.split("\n")
    assert (typed, after != before) == ("typed early", True)
    assert boots(box) == [after]
    assert box.cli("ps", "-aq").text == ""


def test_what_a_killed_maker_left_is_removed(box: Box) -> None:
    found = directory(box)
    half = Path(f"{found}.new")
    shutil.copytree(found, half)
    (half / "meta.json").unlink()
    shutil.rmtree(found)
    restart(box)
    after = boot_id(box)
    assert boots(box) == [after]
    assert not half.exists()
