"""A plan reads as the story of a container."""

from typing import Any

from proa.runtime import defaults, messages, plan


def order(**fields: Any) -> Any:
    spec: Any = {
        "ociVersion": "1.2.0",
        "process": {"args": ["true"], "cwd": "/w", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "/r", "readonly": True},
        "hostname": "box",
        "mounts": defaults.mounts(2),
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "uts"}],
            "maskedPaths": ["/proc/keys", "/proc/keys"],
            "readonlyPaths": ["/proc/sys"],
            "sysctl": {"net.x": "1"},
        },
    }
    spec.update(fields)
    root: Any = [{"destination": "/r", "type": "overlay", "source": "overlay"}]
    return messages.order(spec, root, hierarchies=[""])


def test_the_whole_story() -> None:
    made = order()
    assert [step.describe() for step in plan.before_console(made)] == [
        "making / a slave",
        'mounting overlay as rootfs at "/r"',
        'opening rootfs "/r"',
        'mounting "proc" to rootfs at "/proc"',
        'mounting "tmpfs" to rootfs at "/dev"',
        'mounting "devpts" to rootfs at "/dev/pts"',
        'mounting "sysfs" to rootfs at "/sys"',
        'mounting "cgroup" to rootfs at "/sys/fs/cgroup"',
        'mounting "mqueue" to rootfs at "/dev/mqueue"',
        'mounting "shm" to rootfs at "/dev/shm"',
        "creating device nodes",
        "creating symbolic links in /dev",
    ]
    assert [step.describe() for step in plan.after_console(made)] == [
        "setting sysctl net.x",
        'making "/proc/sys" read-only',
        'masking "/proc/keys"',
        'creating working directory "/w"',
        "making rootfs read-only",
        "pivoting to rootfs",
        'setting host name "box"',
    ]


def test_a_plain_directory_is_bound_and_a_bound_dev_is_left_alone() -> None:
    made = order(mounts=[{"destination": "/dev/", "type": "bind", "source": "/dev", "options": ["rbind"]}])
    made["root"] = []
    assert [step.describe() for step in plan.before_console(made)][1:] == [
        'binding rootfs "/r"',
        'opening rootfs "/r"',
        'mounting "/dev" to rootfs at "/dev/"',
    ]


def test_the_hosts_name_is_never_changed() -> None:
    made = order(linux={"namespaces": [{"type": "mount"}]})
    assert not any("host name" in step.describe() for step in plan.after_console(made))


def test_devices_of_a_spec_come_first_and_once() -> None:
    mine: Any = {"type": "c", "path": "/dev/null", "major": 1, "minor": 3}
    listed = plan.devices({"linux": {"devices": [mine]}})  # type: ignore[typeddict-item]
    assert listed[0] is mine and [one["path"] for one in listed].count("/dev/null") == 1
    assert len(listed) == len(defaults.DEVICES)
