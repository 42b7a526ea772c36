"""The boot image: the archive's form, the modules' order, and what is packed."""

from __future__ import annotations

import json
import marshal
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from proa import program
from proa.errors import HostCannot
from proa.hull.vm import bootimage, interpreter
from proa.hull.vm.bootimage import Entry


def read(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """What is in a "newc" archive: {path: (mode, content, device)}."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = at + (110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size], (fields[9], fields[10]))
        at = (start + size + 3) // 4 * 4


def test_the_archive_has_parents_contents_and_devices() -> None:
    data = bootimage.archive(
        [
            Entry("/a/b/file", stat.S_IFREG | 0o644, b"hello"),
            Entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
            Entry("/a/b/file", stat.S_IFREG | 0o644, b"a second time"),
        ]
    )
    found = read(data)
    assert list(found) == ["a", "a/b", "a/b/file", "dev", "dev/console"]
    assert found["a"][0] == stat.S_IFDIR | 0o755
    assert found["a/b/file"][1] == b"hello"
    assert found["dev/console"] == (stat.S_IFCHR | 0o600, b"", (5, 1))
    assert len(data) % 512 == 0


def test_linux_own_tool_reads_the_archive(tmp_path: Path) -> None:
    data = bootimage.archive([Entry("/a/file", stat.S_IFREG | 0o644, b"hello")])
    try:
        done = subprocess.run(["cpio", "-t", "--quiet"], input=data, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("cpio is not installed")
    assert done.stdout.split() == [b"a", b"a/file"]


def module(needs: str) -> bytes:
    return b"\x7fELF....\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0"


def kernel_tree(root: Path, modules: dict[str, str], builtin: str = "") -> str:
    directory = root / "kernel"
    directory.mkdir(parents=True)
    for name, needs in modules.items():
        (directory / f"{name}.ko").write_bytes(module(needs))
    (root / "modules.builtin").write_text(builtin)
    return str(root)


MODULES = {
    "virtio": "virtio_ring",
    "virtio_ring": "",
    "virtio_pci": "virtio,virtio_ring",
    "virtio_console": "virtio",
    "virtio_blk": "virtio",
    "overlay": "",
    "virtio-net": "net-failover",
    "net-failover": "",
    "virtiofs": "fuse",
    "fuse": "",
    "virtio_balloon": "virtio",
}


def test_modules_are_loaded_after_what_they_need(tmp_path: Path) -> None:
    root = kernel_tree(tmp_path / "6.1", MODULES, "kernel/fs/squashfs/squashfs.ko\n")
    entries = {entry.path: entry for entry in bootimage._kernel_modules(root)}
    order = json.loads(entries["/proa/modules.json"].data)
    assert order["early"] == ["virtio_ring", "virtio", "virtio_pci", "virtio_console"]
    assert order["late"] == ["virtio_blk", "overlay"]
    assert not any("net" in path for path in entries)


def test_a_signature_is_cut_off_where_it_is_not_wanted(tmp_path: Path) -> None:
    root = kernel_tree(tmp_path / "6.1", MODULES, "kernel/fs/squashfs/squashfs.ko\n")
    path = Path(root, "kernel", "overlay.ko")
    signature = b"s" * 300
    path.write_bytes(module("") + signature + bytes(8) + len(signature).to_bytes(4, "big") + bootimage._SIGNED)
    for signed, data in ((True, path.read_bytes()), (False, module(""))):
        entries = {entry.path: entry.data for entry in bootimage._kernel_modules(root, signed)}
        assert entries["/proa/modules/overlay.ko"] == data
        assert entries["/proa/modules/virtio.ko"] == module("virtio_ring")


def test_what_is_packed_is_imported_from_there() -> None:
    """Packages too, each module once, before any other finder is asked."""
    modules = {
        "zoo": (True, compile("", "zoo", "exec")),
        "zoo.cage": (True, compile("from . import lion", "zoo/cage", "exec")),
        "zoo.cage.lion": (False, compile("from .. import cage; ok = cage.__path__ == []", "zoo/cage/lion", "exec")),
    }
    lines = [
        f"import sys; exec(open({bootimage._PACKER!r}).read())",
        "install(sys.argv[1])",
        "import zoo.cage.lion, os",
        "print(zoo.cage.lion.ok, zoo.cage.lion.__package__, len(sys.meta_path[0]._modules))",
        "import zoo.none",
    ]
    with tempfile.NamedTemporaryFile() as file:
        file.write(marshal.dumps(modules))
        file.flush()
        command = [sys.executable, *program.FLAGS, "-c", "\n".join(lines), file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "zoo.cage", "0"]
    assert "No module named 'zoo.none'" in done.stderr


def test_a_modules_needs_come_before_it_and_once(tmp_path: Path) -> None:
    root = kernel_tree(tmp_path / "6.1", MODULES, "")
    order: list[str] = []
    entries: list[Entry] = []
    for name in ("virtio_net", "virtiofs", "net_failover"):
        bootimage._load(name, bootimage._index(root), set(), order, entries)
    assert order.index("net_failover") < order.index("virtio_net") and order.index("fuse") < order.index("virtiofs")
    assert len(order) == len(set(order)) == len(entries)


def test_a_kernel_without_what_is_needed_is_refused(tmp_path: Path) -> None:
    root = kernel_tree(tmp_path / "6.1", MODULES)
    with pytest.raises(HostCannot, match="squashfs"):
        bootimage._kernel_modules(root)


def test_the_image_holds_this_interpreter_and_what_a_dry_run_loads(tmp_path: Path) -> None:
    root = kernel_tree(tmp_path / "6.1", MODULES, "kernel/fs/squashfs/squashfs.ko\n")
    built = bootimage.build(root, str(tmp_path / "cache"))
    data = Path(built.path).read_bytes()
    assert len(data) <= bootimage.SIZE_MAX
    found = read(data)
    python = interpreter.own()
    assert python.executable.lstrip("/") in found
    assert f"rdinit={python.executable} -- -I -S -X utf8 /proa/start.pyc" in built.init
    for name in (f"{python.library}/encodings/__init__.pyc".lstrip("/"), "proa/start.pyc"):
        header = found[name][1][:16]
        assert header[4:8] == (1).to_bytes(4, "little")  # hash-based, unchecked
        marshal.loads(found[name][1][16:])
    packed = marshal.loads(found["proa/packed"][1])
    assert {"proa", "proa.hull.vm.guest.main", "proa.runtime.parent", "ctypes"} <= set(packed)
    assert not any(name.startswith("encodings") for name in packed)
    names = {*packed, *found}
    for heavy in ("json", "asyncio", "re", "enum", "typing", "dataclasses", "subprocess"):
        assert not any(name == heavy or name.endswith((f"/{heavy}.pyc", f"/{heavy}/__init__.pyc")) for name in names)
    inputs = "\n".join(built.inputs)
    assert "guest/packed.py" in inputs and "runtime/parent.py" in inputs
    assert bootimage.build(root, str(tmp_path / "cache")) == built


def test_an_image_is_packed_anew_only_if_something_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "module"
    source.write_text("x")
    packed: list[bytes] = []

    def pack(_modules: str, cache: str, filter: bytes, _signed: bool) -> bootimage.BootImage:
        packed.append(filter)
        path = Path(cache, f"{len(packed)}.cpio")
        path.write_bytes(b"image")
        return bootimage.BootImage(str(path), "digest", "rdinit=x", [str(source)])

    monkeypatch.setattr(bootimage, "_build", pack)
    first = bootimage.build("/modules", str(tmp_path), b"f")
    assert bootimage.build("/modules", str(tmp_path), b"f") == first and packed == [b"f"]
    bootimage.build("/modules", str(tmp_path), b"g")
    source.write_text("y!")
    bootimage.build("/modules", str(tmp_path), b"g")
    os.unlink(tmp_path / "3.cpio")
    bootimage.build("/modules", str(tmp_path), b"g")
    assert packed == [b"f", b"g", b"g", b"g"]
