"""How each of our programs is started: one way, isolated from the caller's Python settings.

``-I -S`` keep PYTHONPATH, PYTHONHOME, the working directory, .pth files and sitecustomize out; ``-X utf8`` fixes the
encoding. The only directory added to the path is the one that this package was loaded from.
"""

import sys

SITE = __file__.rpartition("/")[0].rpartition("/")[0]
FLAGS = ("-I", "-S", "-X", "utf8")


def argv(module: str, *args: str) -> list[str]:
    """The command line that runs ``main()`` of ``proa.<module>`` with ``args`` in sys.argv[1:]."""
    code = f"import sys; sys.path.append({SITE!r}); from proa.{module} import main; main()"
    return [sys.executable, *FLAGS, "-c", code, *args]
