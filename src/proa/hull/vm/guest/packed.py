"""The guest's modules out of one file: the path finder's look-ups and reads would cost a cold boot a tenth of a second.

``start.pyc`` of the boot image is this file and a line that calls ``install``; it runs before anything is imported.
"""

import marshal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

_Spec: "Any" = type(sys.__spec__)


class Packed:
    """A finder and loader (importlib) of ``modules``: {name: (whether it is a package, its code)}."""

    def __init__(self, modules: "dict[str, tuple[bool, CodeType]]") -> None:
        self._modules = modules

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> "Any":
        """The spec of a packed module."""
        found = self._modules.get(name)
        return _Spec(name, self, is_package=found[0]) if found is not None else None

    def create_module(self, _spec: object) -> None:
        """An ordinary module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run it; once, so its code is let go."""
        exec(self._modules.pop(module.__name__)[1], module.__dict__)


def install(path: str) -> None:
    """Import from the file at ``path`` (marshal, by the same interpreter) before anything else."""
    with open(path, "rb") as file:
        sys.meta_path.insert(0, Packed(marshal.loads(file.read())))
