"""Launching containers: ours against dockerd, runc and crun, all in one interleaved run.

    python bench/launch.py [--rounds N] [--json] [--check]

Starts its own engine and its own dockerd, both in private places, and ends them. The load of the machine meets all
alike: compare within one table. ``--check`` exits 1 if a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import measure  # noqa: E402
from figures import Report, interleaved  # noqa: E402
from rivals import Rival  # noqa: E402
from support import image, peers  # noqa: E402
from support.box import IMAGE, Box, UnixHTTP, clean_environment, command, docker, proa  # noqa: E402

OURS, THEIRS = "our socket: create, start, wait", "dockerd's socket: the same"
RUN, DOCKER_RUN, DOCKER_ON_OURS = "proa run --rm", "docker run --rm on dockerd", "docker run --rm on our engine"


class Api:
    """One kept connection to an engine."""

    def __init__(self, box: Box) -> None:
        self.connection = UnixHTTP(box.socket, 120)
        self.body = json.dumps({"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}})

    def call(self, method: str, path: str, body: str = "") -> Any:
        """One request; its answer."""
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, path, body or None, headers)
        response = self.connection.getresponse()
        data = response.read()
        assert response.status < 400, data
        return json.loads(data) if data.strip() else None

    def container(self) -> float:
        """One container's life in ms; its removal is not counted."""
        begun = time.perf_counter()
        id = self.call("POST", "/v1.40/containers/create", self.body)["Id"]
        self.call("POST", f"/v1.40/containers/{id}/start")
        assert self.call("POST", f"/v1.40/containers/{id}/wait")["StatusCode"] == 0
        took = (time.perf_counter() - begun) * 1000
        self.call("DELETE", f"/v1.40/containers/{id}")
        return took


def timed(command_: list[str], env: dict[str, str]) -> float:
    """A whole process, in ms."""
    begun = time.perf_counter()
    subprocess.run(command_, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


class Launch:
    """The run: engines, rivals, report."""

    def __init__(self, stack: ExitStack, rounds: int) -> None:
        self.report = Report()
        self.rounds = rounds
        self.stack = stack
        self.folder = Path(tempfile.mkdtemp(prefix="proa-bench-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.tar = image.build(self.folder / "bb.tar")
        self.groups = {name: stack.enter_context(measure.group(name)) for name in ("ours", "dockerd")}
        run = Path(tempfile.mkdtemp(prefix="proa-bench-", dir="/dev/shm"))  # a tmpfs, as /run is wherever it matters
        stack.callback(shutil.rmtree, run, ignore_errors=True)
        with measure.inside(self.groups["ours"]):
            self.ours = stack.enter_context(proa(self.tar, "container", run=run))
        with measure.inside(self.groups["dockerd"]):
            self.theirs = self._dockerd()
        self.rivals = [rival for name in ("runc", "crun") if (rival := self._rival(name))]

    def _dockerd(self) -> Box | None:
        try:
            return self.stack.enter_context(docker(self.tar))
        except peers.Missing as problem:
            self.report.notes.append(f"no dockerd: {problem}")
            return None

    def _rival(self, name: str) -> Rival | None:
        try:
            rival = Rival(name, self.tar, self.folder)
        except (peers.Missing, subprocess.CalledProcessError) as problem:
            self.report.notes.append(f"no {name}: {problem}")
            return None
        self.stack.callback(rival.close)
        said = rival.run()
        if said:
            self.report.notes.append(f"{name} does not run here: {said}")
            return None
        return rival

    def all(self) -> Report:
        """Measure everything."""
        self.interleave()
        self.cpu()
        self.memory()
        self.first_answer()
        self.disk()
        self.promises()
        return self.report

    def interleave(self) -> None:
        """Everything once a round."""
        things: list[Callable[[], None]] = [*self._api_things(), *self._command_things()]
        things += [self._rival_thing(rival) for rival in self.rivals]
        interleaved(self.rounds, things)

    def _api_things(self) -> list[Callable[[], None]]:
        engines = [(OURS, self.ours), *([(THEIRS, self.theirs)] if self.theirs else [])]
        return [self._adder(name, Api(box).container) for name, box in engines]

    def _command_things(self) -> list[Callable[[], None]]:
        tail = ["run", "--rm", "--network", "none", IMAGE, "true"]
        lines = [(RUN, [*self.ours.command, *tail], self.ours)]
        if self.theirs:
            client = self.theirs.command[0]
            lines.append((DOCKER_RUN, [*self.theirs.command, *tail], self.theirs))
            lines.append((DOCKER_ON_OURS, [client, "-H", f"unix://{self.ours.socket}", *tail], self.theirs))
        return [self._adder(name, lambda line=line, box=box: timed(line, dict(box.env))) for name, line, box in lines]

    def _rival_thing(self, rival: Rival) -> Callable[[], None]:
        def once() -> float:
            begun = time.perf_counter()
            assert rival.run() == ""
            return (time.perf_counter() - begun) * 1000

        return self._adder(f"{rival.name} run (no overlay, no engine)", once)

    def _adder(self, name: str, once: Callable[[], float]) -> Callable[[], None]:
        once()  # warm: a first read of the image's pages is nobody's fault
        return lambda: self.report.of(name).add(once())

    def cpu(self, count: int = 40) -> None:
        """CPU a container, engine and all of its processes counted."""
        for name, box in (("ours", self.ours), ("dockerd", self.theirs)):
            group = self.groups[name]
            if not (box and group):
                continue
            folders = [group, *self._peer_group(box)]
            times = count if name == "ours" else count // 4
            api = Api(box)
            before = measure.cpu(folders)
            for _ in range(times):
                api.container()
            time.sleep(0.5)
            self.report.of(f"CPU a container, {name}").add((measure.cpu(folders) - before) / times)

    def _peer_group(self, box: Box) -> list[Path]:
        """dockerd's containers are counted below a parent of their own."""
        peer = box.extra.get("peer")
        return [measure.CPUACCT / peer.folder.name] if peer else []

    def memory(self, running: int = 100) -> None:
        """Engine and spawner idle; a shim with a hundred running."""
        engine = int(self.ours.cli("engine", "pid").ok().text)
        idle = measure.pss(engine) + sum(map(measure.pss, measure.children(engine)))
        self.report.of("engine and spawner, idle", "MB").add(idle)
        api = Api(self.ours)
        body = json.dumps({"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}})
        ids = [api.call("POST", "/containers/create", body)["Id"] for _ in range(running)]
        for id in ids:
            api.call("POST", f"/containers/{id}/start")
        for id in ids:
            program = api.call("GET", f"/containers/{id}/json")["State"]["Pid"]
            self.report.of(f"shim, {running} running", "MB").add(measure.pss(measure.parent(program)))
        for id in ids:
            api.call("DELETE", f"/containers/{id}?force=1")

    def first_answer(self, times: int = 10) -> None:
        """No engine yet: how long until the first command has its answer."""
        for number in range(times):
            root = self.folder / f"first{number}"
            env = clean_environment(PROA_ROOT=str(root))
            self.report.of("no engine yet: first answer").add(timed([*command(), "ps", "-q"], env))
            subprocess.run([*command(), "engine", "stop", "--all"], env=env, check=True, capture_output=True)

    def disk(self, count: int = 100) -> None:
        """Calls that wait for a disk, over a hundred containers' lives."""
        engine = int(self.ours.cli("engine", "pid").ok().text)
        try:
            with measure.syncs([engine, *measure.children(engine)]) as found:
                api = Api(self.ours)
                for _ in range(count):
                    api.container()
        except peers.Missing as problem:
            self.report.notes.append(f"fsync not counted: {problem}")
            return
        self.report.goal(f"calls that wait for a disk, {count} containers", len(found), 0)
        self.report.notes += found[:5]

    def promises(self) -> None:
        """What issue and README promise, against what was found."""
        report = self.report
        report.goal("create→start→exit, p10", report.of(OURS).at(0.1), 12, "ms")
        report.ratio("  of dockerd's, medians", OURS, THEIRS, 1 / 20)
        if "CPU a container, ours" in report.series:
            report.goal("CPU a container", report.of("CPU a container, ours").median, 12, "ms")
        report.ratio("proa run, of docker run on dockerd", RUN, DOCKER_RUN, 1 / 8)
        report.ratio("docker run on our engine, of docker run on dockerd", DOCKER_ON_OURS, DOCKER_RUN, 1 / 6)
        report.goal("no engine yet → first answer, median", report.of("no engine yet: first answer").median, 400, "ms")
        report.goal("engine and spawner idle", report.of("engine and spawner, idle", "MB").median, 45, "MB PSS")
        report.goal("shim, 100 running, median", report.of("shim, 100 running", "MB").median, 1.5, "MB PSS")


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        report = Launch(stack, options.rounds).all()
        report.notes.append(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs, kernel {os.uname().release}")
    print(report.json() if options.json else report.text())
    return 1 if options.check and not all(goal.kept for goal in report.goals) else 0


if __name__ == "__main__":
    sys.exit(main())
