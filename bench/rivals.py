"""runc and crun, run on the same root file system: the floor below which no engine of this kind can go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from support import peers

HYBRID = Path("/sys/fs/cgroup/unified")


class Rival:
    """A low-level runtime and a bundle that runs ``true``."""

    def __init__(self, name: str, image_tar: Path, folder: Path) -> None:
        self.name = name
        self.program = peers.tool(name)
        self.bundle = folder / name
        self.count = 0
        self.prefix: list[str] = []
        if name == "crun" and HYBRID.exists():  # it refuses version 1 and 2 side by side
            self.prefix = ["unshare", "--mount", "sh", "-c", f'umount {HYBRID} && exec "$@"', "sh"]
        root = self.bundle / "rootfs"
        root.mkdir(parents=True)
        subprocess.run(["tar", "--warning=no-unknown-keyword", "-xf", image_tar, "-C", root], check=True)
        subprocess.run([peers.tool("runc"), "spec"], cwd=self.bundle, env=peers.environment(), check=True)
        spec = json.loads((self.bundle / "config.json").read_text())
        spec["process"].update(args=["true"], terminal=False)
        spec["process"].pop("rlimits", None)
        spec["linux"]["cgroupsPath"] = f"/proa-bench-{name}-{os.getpid()}/x"
        (self.bundle / "config.json").write_text(json.dumps(spec))

    def run(self) -> str:
        """One container, created and gone; "" or what went wrong."""
        self.count += 1
        command = [str(self.program), "--root", f"{self.bundle}/run", "run", "--bundle", str(self.bundle)]
        done = subprocess.run(
            [*self.prefix, *command, f"b{self.count}"],
            env=peers.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return done.stderr.strip()[-200:] or f"exit code {done.returncode}" if done.returncode else ""

    def close(self) -> None:
        shutil.rmtree(self.bundle, ignore_errors=True)
        for folder in Path("/sys/fs/cgroup").glob(f"*/proa-bench-{self.name}-{os.getpid()}"):
            folder.rmdir()
