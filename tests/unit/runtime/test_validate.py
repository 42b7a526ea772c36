"""What a spec must be before anything is done with it."""

import copy
from typing import Any

import pytest

from proa.runtime import defaults, validate
from proa.runtime.messages import StartFailure

GOOD: Any = {
    "ociVersion": "1.2.0",
    "unknown": 1,
    "process": {
        "args": ["x"],
        "cwd": "/",
        "env": ["A=1"],
        "user": {"uid": 0, "gid": 0, "username": "", "additionalGids": [5]},
        "capabilities": {"bounding": ["CAP_UNKNOWN"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": -1}],
        "oomScoreAdj": 5,
        "consoleSize": {"height": 1, "width": 2},
    },
    "root": {"path": "/r"},
    "hostname": "h",
    "mounts": defaults.mounts(1),
    "linux": {
        "namespaces": [{"type": "mount"}, {"type": "ipc"}, {"type": "network"}],
        "devices": defaults.DEVICES,
        "maskedPaths": ["/a"],
        "sysctl": {"net.core.somaxconn": "1", "kernel.shmmax": "1", "fs.mqueue.msg_max": "1"},
    },
}


def test_a_good_one_passes() -> None:
    validate.spec(copy.deepcopy(GOOD))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process", None),
        ("process.args", []),
        ("process.args", "sh"),
        ("process.args", ["a\0b"]),
        ("process.cwd", "relative"),
        ("process.env", [1]),
        ("process.user", "root"),
        ("process.user.uid", -1),
        ("process.user.gid", "0"),
        ("process.user.username", 5),
        ("process.rlimits", [{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}]),
        ("process.rlimits", [{"type": "RLIMIT_AS", "soft": "1", "hard": 1}]),
        ("process.oomScoreAdj", 2000),
        ("process.capabilities", {"bounding": "CAP_KILL"}),
        ("process.consoleSize", {"height": -1, "width": 0}),
        ("process.consoleSize", "80x25"),
        ("process.capabilities", ["CAP_KILL"]),
        ("linux", []),
        ("root.path", "r"),
        ("hostname", "x" * 65),
        ("mounts", [{"destination": "x"}]),
        ("mounts", [{"destination": "//"}]),
        ("mounts", [{"destination": "/x", "options": "ro"}]),
        ("mounts", {"a": 1}),
        ("linux.namespaces", [{"type": "moon"}]),
        ("linux.namespaces", [{"type": "pid"}, {"type": "pid"}]),
        ("linux.devices", [{"path": "/dev/x", "type": "q"}]),
        ("linux.devices", [{"path": "dev/x", "type": "c"}]),
        ("linux.maskedPaths", ["x"]),
        ("linux.sysctl", {"kernel.panic": "1"}),
        ("linux.sysctl", {"kernel.domainname": "x"}),
        ("linux.sysctl", {"net.../../kernel.panic": "1"}),
        ("linux.sysctl", {"net./x": "1"}),
        ("linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}]),
    ],
)
def test_refused(path: str, value: Any) -> None:
    spec = copy.deepcopy(GOOD)
    place = spec
    *above, last = path.split(".")
    for name in above:
        place = place[name]
    place[last] = value
    with pytest.raises(StartFailure) as caught:
        validate.spec(spec)
    assert caught.value.kind == "invalid"
