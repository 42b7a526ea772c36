"""The guest's boot image: an initramfs of our interpreter, the guest's modules precompiled, and kernel modules.

Nothing is guessed about what the guest imports: a dry run of its program, by the same interpreter, says so. The archive
is written here, without any tool or privilege (device nodes are only entries), uncompressed: unpacking would cost the
emulated guest more than reading does. Cached by the hash of all that went in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import lzma
import marshal
import os
import shutil
import stat
import subprocess
import sys
from types import CodeType
from typing import NamedTuple

from ... import program
from ...errors import HostCannot, Internal
from . import interpreter, made, standard

SIZE_MAX = 16 << 20
HOME = "/proa"
EARLY = ("virtio_pci", "virtio_console")
LATE = ("virtio_blk", "overlay", "squashfs")
"""Only what every machine uses: each module costs a cold boot some 20 ms, and each machine its memory."""
GUEST = "hull.vm.guest.main"

_DRY_RUN = """
import sys; early = set(sys.modules); sys.path.append({site!r})
import proa.{guest}
for name, module in sorted(sys.modules.items()):
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.has_location:
        print(name, int(spec.submodule_search_locations is not None), int(name in early), spec.origin, sep="\\t")
"""
_START = """
import gc
gc.disable()  # nothing that is made here is ever let go
install({packed!r})
sys.path.append({home!r})
from proa.{guest} import main
main()
"""
_PACKER = f"{os.path.dirname(__file__)}/guest/packed.py"
_SIGNED = b"~Module signature appended~\n"
_STRIP_OVER = 8 << 20


class Entry(NamedTuple):
    """One file of the archive: absolute path inside, mode with type bits, content, device numbers; and the file on the
    host that it comes from."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    origin: str = ""


class Module(NamedTuple):
    """A Python module; ``early``: it is loaded before any program is."""

    name: str
    package: bool
    early: bool
    origin: str


class BootImage(NamedTuple):
    """``path``: the archive; ``digest``: its hash; ``init``: kernel arguments that start process 1; ``inputs``: the
    files that went in."""

    path: str
    digest: str
    init: str
    inputs: list[str]


def build(modules: str, cache: str, filter: bytes = b"", signed: bool = True) -> BootImage:
    """The boot image for the kernel whose modules lie in the directory ``modules``; kept in ``cache``.

    ``filter``: the system call filter that nearly every program gets; ``signed``: kernel modules keep their signatures,
    whose check costs a cold boot some 60 ms. Packed anew only if a file that went in changed.
    """
    place = f"{cache}/latest.json"
    maker = [program.SITE, sys.executable, modules, hashlib.sha256(filter).hexdigest(), str(signed)]
    known = made.noted(place, maker)
    if known is not None and os.path.exists(known["result"][0]):
        path, digest, init = known["result"]
        return BootImage(path, digest, init, sorted(known["inputs"]))
    image = _build(modules, cache, filter, signed)
    made.note(place, maker, image.inputs, image[:3])
    return image


def _build(modules: str, cache: str, filter: bytes, signed: bool) -> BootImage:
    python = interpreter.own()
    found = _dry_run()
    entries = [*_nodes(), *_python(python, found), *_kernel_modules(modules, signed)]
    entries.append(Entry(f"{HOME}/{standard.FILTER}", stat.S_IFREG | 0o644, filter))
    data = archive(entries)
    if len(data) > SIZE_MAX:
        data = archive([_stripped(entry) for entry in entries])
    digest = hashlib.sha256(data).hexdigest()
    path = f"{cache}/{digest[:24]}.cpio"
    if not os.path.exists(path):
        _store(path, data)
    init = f"rdinit={python.executable} -- {' '.join(program.FLAGS)} {HOME}/start.pyc"
    inputs = {entry.origin for entry in entries if entry.origin} | {module.origin for module in found}
    return BootImage(path, digest, init, sorted(inputs | {_PACKER}))


def archive(entries: list[Entry]) -> bytes:
    """A cpio archive in the kernel's "newc" form (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()
    known: set[str] = {"/"}
    for entry in entries:
        for parent in _parents(entry.path, known):
            _append(out, Entry(parent, stat.S_IFDIR | 0o755))
        if entry.path not in known:
            known.add(entry.path)
            _append(out, entry)
    _append(out, Entry("/TRAILER!!!", 0))
    return bytes(out) + bytes(-len(out) % 512)


def _parents(path: str, known: set[str]) -> list[str]:
    missing = []
    parent = os.path.dirname(path)
    while parent not in known:
        known.add(parent)
        missing.append(parent)
        parent = os.path.dirname(parent)
    return missing[::-1]


def _append(out: bytearray, entry: Entry) -> None:
    name = entry.path.lstrip("/").encode() + b"\0"
    inode = len(out) + 1 if entry.mode else 0
    major, minor = entry.device
    fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, major, minor, len(name), 0)
    out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)


def _nodes() -> list[Entry]:
    """What process 1 needs before it can mount: a console, and the entropy that Python's start reads."""
    nodes = {"console": (5, 1), "null": (1, 3), "urandom": (1, 9)}
    directories = [Entry(f"/{name}", stat.S_IFDIR | 0o755) for name in ("proc", "sys", "run", "tmp", "mnt")]
    return directories + [
        Entry(f"/dev/{name}", stat.S_IFCHR | 0o666, device=numbers) for name, numbers in nodes.items()
    ]


def _python(python: interpreter.Interpreter, modules: list[Module]) -> list[Entry]:
    """The interpreter, and exactly the modules that a dry run of the guest's program loads."""
    extensions = [module.origin for module in modules if module.origin.endswith(".so")]
    sources = [module for module in modules if not module.origin.endswith(".so")]
    early = [_compiled(module, python) for module in sources if module.early]
    packed = {module.name: (module.package, _code(module)) for module in sources if not module.early}
    with open(_PACKER, encoding="utf-8") as file:
        start = file.read() + _START.format(packed=f"{HOME}/packed", home=HOME, guest=GUEST)
    return [
        *early,
        *(_file(path) for path in interpreter.files(python, extensions)),
        *(
            Entry(path, stat.S_IFREG | 0o644, data)
            for path, data in (
                (f"{python.library}/os.py", b""),  # getpath's landmarks: without them Python takes another prefix
                (f"{python.library}/lib-dynload/.keep", b""),
                (f"{HOME}/packed", marshal.dumps(packed)),
                (f"{HOME}/start.pyc", _pyc(compile(start, "start", "exec", dont_inherit=True, optimize=2))),
            )
        ),
    ]


def _dry_run() -> list[Module]:
    code = _DRY_RUN.format(site=program.SITE, guest=GUEST)
    done = subprocess.run([sys.executable, *program.FLAGS, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Internal(f"the guest's program does not load: {done.stderr.strip().splitlines()[-1:]}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [
        Module(name, package == "1", early == "1", origin)
        for name, package, early, origin in rows
        if not name.startswith("__")
    ]


def _compiled(module: Module, python: interpreter.Interpreter) -> Entry:
    return Entry(f"{python.library}/{_path(module)}.pyc", stat.S_IFREG | 0o644, _pyc(_code(module)))


def _path(module: Module) -> str:
    return module.name.replace(".", "/") + ("/__init__" if module.package else "")


def _code(module: Module) -> CodeType:
    with open(module.origin, "rb") as file:
        return compile(file.read(), _path(module), "exec", dont_inherit=True, optimize=2)


def _pyc(body: CodeType) -> bytes:
    """An unchecked hash-based .pyc (PEP 552): the guest's loader compares nothing with a source that is not there."""
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(body)


def _file(path: str) -> Entry:
    with open(path, "rb") as file:
        return Entry(path, stat.S_IFREG | 0o755, file.read(), origin=path)


def _stripped(entry: Entry) -> Entry:
    """The entry without its symbol table, if it is a large ELF file and strip(1) exists."""
    strip = shutil.which("strip")
    if len(entry.data) < _STRIP_OVER or not entry.data.startswith(b"\x7fELF") or strip is None:
        return entry
    with open(os.memfd_create("proa-strip", 0), "w+b") as file:
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        subprocess.run([strip, "-o", path, entry.path], check=True, capture_output=True)
        file.seek(0)
        return entry._replace(data=file.read())


def _kernel_modules(root: str, signed: bool = True) -> list[Entry]:
    """The modules in the order in which the guest loads them, and that order as a file."""
    found = _index(root)
    builtin = _builtin(root)
    order: list[str] = []
    entries: list[Entry] = []
    marks: list[int] = []
    for group in (EARLY, LATE):
        for name in group:
            _load(name, found, builtin, order, entries)
        marks.append(len(order))
    if not signed:
        entries = [entry._replace(data=_unsigned(entry.data)) for entry in entries]
    text = json.dumps({"early": order[: marks[0]], "late": order[marks[0] :]}).encode()
    return [*entries, Entry(f"{HOME}/modules.json", stat.S_IFREG | 0o644, text)]


def _load(name: str, found: dict[str, str], builtin: set[str], order: list[str], entries: list[Entry]) -> None:
    if name in builtin or name in order:
        return
    if name not in found:
        raise HostCannot(
            f"the kernel has no module {name}",
            hull="vm",
            missing=f"kernel module {name}",
            code="kernel-unsuitable",
            next_step="proa setup",
        )
    data = _module(found[name])
    for needed in _depends(data):
        _load(needed, found, builtin, order, entries)
    order.append(name)
    entries.append(Entry(f"{HOME}/modules/{name}.ko", stat.S_IFREG | 0o644, data, origin=found[name]))


def _index(root: str) -> dict[str, str]:
    found = {}
    for directory, _, files in os.walk(root):
        for file in files:
            name, dot, rest = file.partition(".ko")
            if dot and rest in ("", ".xz"):
                found[name.replace("-", "_")] = f"{directory}/{file}"
    return found


def _builtin(root: str) -> set[str]:
    try:
        with open(f"{root}/modules.builtin") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return set()
    return {os.path.basename(line).partition(".ko")[0].replace("-", "_") for line in lines}


def _module(path: str) -> bytes:
    with open(path, "rb") as file:
        data = file.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def _unsigned(data: bytes) -> bytes:
    """A kernel module without its signature (linux/module_signature.h: signature, 12 bytes, a magic string)."""
    if not data.endswith(_SIGNED):
        return data
    end = len(data) - len(_SIGNED)
    return data[: end - 12 - int.from_bytes(data[end - 4 : end], "big")]


def _depends(data: bytes) -> list[str]:
    at = data.find(b"\0depends=")
    if at < 0:
        return []
    text = data[at + 9 : data.find(b"\0", at + 9)].decode()
    return [name.replace("-", "_") for name in text.split(",") if name]


def _store(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o444)  # a jailed QEMU reads it as a user of its own
        os.rename(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
