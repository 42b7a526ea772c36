"""The main job, shown whole: one Debian root file system, run as a container and as a virtual machine.

What the same program sees in each hull is asked from inside; what each costs is measured from outside. As root it is
shown a third time as the floor would have it: an ordinary user, no capability, no namespaces, no mounts, no KVM.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, Runner
from rootfs import debian

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
BUILD = CHECKOUT / "build" / "demo"
PROA = CHECKOUT / ".venv" / "bin" / "proa"
FLOOR = CHECKOUT / "tests" / "floor" / "launch.py"
IMAGE = "proa-demo:debian"


def main() -> int:
    """Exit code 0 when every hull that this host can have did its work."""
    runner = Runner(str(PROA), [])
    root = os.geteuid() == 0
    step("1. What this host can do")
    subprocess.run([PROA, "doctor"])
    step("2. The VM hull's parts: fetched and unpacked, nothing installed into the system")
    setup = subprocess.run([PROA, "setup", *([] if root else ["--user"])])
    step("3. A Debian root file system, as a tar")
    tar = debian(BUILD)
    print(f"{tar}  {tar.stat().st_size / 1e6:.0f} MB")
    rows = []
    was_running = runner.run("engine", "pid", check=False).returncode == 0
    try:
        runner.run("import", str(tar), IMAGE)
        step("4. The same program, as a container and as a virtual machine")
        rows.append(runner.measure("container", IMAGE, "process"))
        rows.append(runner.measure("VM", IMAGE, "vm"))
    finally:
        if not was_running:
            runner.run("engine", "stop", check=False)
    if root and setup.returncode == 0:
        rows.append(on_the_floor(tar))
    table(rows)
    wanted = rows if root else [row for row in rows if row.name == "VM"]
    return 0 if all(not row.why_not for row in wanted) else 1


def on_the_floor(tar: Path) -> Row:
    """The VM hull for an ordinary user under a filter that denies namespaces and mounts."""
    folder = tempfile.mkdtemp(prefix="proa-demo-")
    os.chown(folder, 65534, 65534)
    runner = Runner(str(PROA), [sys.executable, str(FLOOR), "--home", folder, "--"], folder)
    try:
        runner.run("import", str(tar), IMAGE)
        return runner.measure("VM, on the floor", IMAGE, "vm")
    except RuntimeError as problem:
        return Row("VM, on the floor", why_not=str(problem).splitlines()[0])
    finally:
        runner.run("engine", "stop", "--all", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def table(rows: list[Row]) -> None:
    """What differed, all of it measured just now."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    step("5. What differed (measured now)")
    lines: list[tuple[str, list[str]]] = [("", [row.name for row in rows])]

    def add(label: str, cell: object) -> None:
        assert callable(cell)
        lines.append((label, [cell(row) if not row.why_not else "-" for row in rows]))

    add("kernel", lambda row: row.said["kernel"])
    add("the host's kernel?", lambda row: "yes" if row.said["boot"] == boot else "no, its own")
    add("process 1 inside", lambda row: row.said["process"])
    add("memory it sees", lambda row: row.said["memory"])
    add("first output, first run", lambda row: f"{row.first * 1000:.0f} ms")
    add("first output, later runs", lambda row: f"{row.later * 1000:.0f} ms")
    add("memory on the host", lambda row: f"{row.memory / 1e6:.1f} MB")
    width = max(len(label) for label, _ in lines)
    for label, cells in lines:
        print(f"{label:<{width}}  " + "  ".join(f"{cell:<22}" for cell in cells).rstrip())
    print(
        f"{'the host: kernel':<{width}}  {os.uname().release}, process 1 is {Path('/proc/1/comm').read_text().strip()}"
    )
    for row in rows:
        if row.why_not:
            print(f"{row.name}: not here: {row.why_not}")


def step(title: str) -> None:
    print(f"\n== {title}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(f"demo: {problem}")
