"""This process's children, by number: what a test leaves is told from what others left or handed down to us.

Whoever runs the tests may have made us the reaper of his own processes, or started us by execve(2) with some.
"""

from __future__ import annotations

import os


def mine() -> set[int]:
    """Live ones and those that nobody has waited for."""
    own = os.getpid()
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == own}


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return -1
