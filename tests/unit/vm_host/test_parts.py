"""Parts are found in STATE, then in the system's folder, then on the host; what is missing names its command."""

import json
import os
import shutil

import pytest

from proa.errors import HostCannot
from proa.hull.vm import kernelfile, parts
from proa.places import Places


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An engine with nothing fetched, on a host with nothing installed."""
    monkeypatch.setattr(parts, "SYSTEM_PARTS", str(tmp_path / "system"))
    monkeypatch.setattr(parts, "_kernels", _only_fetched(parts._kernels))
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    return Places(str(tmp_path / "state"), str(tmp_path / "run"))


def _only_fetched(real):
    return lambda root, *more: real(root, *more) if root else iter(())


def make_set(folder, name, files, complete=True):
    root = folder / name / "root"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    if complete:
        (folder / name / "complete").write_text(json.dumps({"packages": [], "versions": {}, "time": 1}))
    return root


def kernel_files(version):
    from .test_kernelfile import bzimage

    text = f"{version} (x)".encode()
    return {f"boot/vmlinuz-{version}": bzimage(text), f"lib/modules/{version}/kernel/x.ko": b""}


def test_missing_parts_name_the_command(places):
    for find in (parts.find_kernel, parts.find_qemu):
        with pytest.raises(HostCannot) as refused:
            find(places)
        assert refused.value.code in ("kernel-missing", "qemu-missing")
        assert refused.value.next_step == "proa setup --user"
        assert refused.value.hull == "vm"
    with pytest.raises(HostCannot, match="sqfstar"):
        parts.find_tool(places, parts.SQUASHFS, "sqfstar")


def test_root_with_the_default_places_is_told_the_short_command(places, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    default = Places(os.path.dirname(parts.SYSTEM_PARTS), "/run/proa")
    monkeypatch.setattr(parts, "SYSTEM_PARTS", default.state + "/parts")
    assert parts.setup_command(default) == "proa setup"


def test_state_comes_first_and_half_a_set_is_none(places, tmp_path):
    system, own = tmp_path / "system", tmp_path / "state" / "parts"
    make_set(system, "kernel", kernel_files("6.1.0-1-cloud"))
    assert parts.find_kernel(places).version == "6.1.0-1-cloud"
    make_set(own, "kernel", kernel_files("6.1.0-2-cloud"), complete=False)
    assert parts.find_kernel(places).version == "6.1.0-1-cloud"
    (own / "kernel" / "complete").write_text("{}")
    found = parts.find_kernel(places)
    assert found.version == "6.1.0-2-cloud"
    assert found.source == "fetched"
    assert os.path.isdir(found.modules + "/kernel")


def test_the_newest_kernel_with_modules_wins(places, tmp_path):
    files = {**kernel_files("6.1.0-9-cloud"), **kernel_files("6.1.0-10-cloud"), **kernel_files("6.12.0-1-cloud")}
    del files["lib/modules/6.12.0-1-cloud/kernel/x.ko"]
    make_set(tmp_path / "system", "kernel", files)
    assert parts.find_kernel(places).version == "6.1.0-10-cloud"


def test_a_file_that_is_no_kernel_is_passed_over(places, tmp_path):
    make_set(tmp_path / "system", "kernel", {"boot/vmlinuz-9": b"text", "lib/modules/9/kernel/x.ko": b""})
    with pytest.raises(HostCannot, match="vmlinuz-9 is not a kernel") as refused:
        parts.find_kernel(places)
    assert refused.value.code == "not-a-kernel"


def test_a_tool_runs_through_its_own_loader(places, tmp_path):
    machine = parts.machine()
    loader = os.path.basename(kernelfile.elf.read("/usr/bin/env").interpreter)
    with open("/usr/bin/env", "rb") as file:
        program = file.read()
    folder = f"usr/lib/{machine}-linux-gnu"
    make_set(tmp_path / "system", parts.SQUASHFS, {"usr/bin/sqfstar": program, f"{folder}/{loader}": b"loader"})
    tool = parts.find_tool(places, parts.SQUASHFS, "sqfstar")
    assert tool.source == "fetched"
    assert tool.argv[0].endswith(loader)
    assert tool.argv[1] == "--library-path"
    assert tool.argv[2].split(":")[0].endswith(folder)
    assert tool.argv[3].endswith("usr/bin/sqfstar")


def test_a_host_qemu_is_taken_as_it_is(places, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: "/usr/bin/env")
    qemu = parts.find_qemu(places)
    assert qemu.argv == ("/usr/bin/env",)
    assert qemu.source == "host"
    assert "/usr/bin/env" in qemu.reads
    assert all(os.path.exists(path) for path in qemu.reads)


def test_a_qemu_that_is_none_is_told(places, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: "/bin/false")
    qemu = parts.find_qemu(places)
    for ask in (parts.qemu_version, parts.try_qemu):
        with pytest.raises(HostCannot) as refused:
            ask(qemu)
        assert refused.value.code == "qemu-broken"


def test_a_fetched_qemu_without_its_libraries_is_damaged(places, tmp_path):
    loader = os.path.basename(kernelfile.elf.read("/usr/bin/env").interpreter)
    with open("/usr/bin/env", "rb") as file:
        program = file.read()
    name = f"qemu-system-{parts.machine()}"
    make_set(tmp_path / "system", parts.QEMU, {f"usr/bin/{name}": program, f"usr/lib/{loader}": b""})
    with pytest.raises(HostCannot, match="libc"):
        parts.find_qemu(places)
