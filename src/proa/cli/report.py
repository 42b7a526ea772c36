"""How an error is told: one line of what happened and its code, then the next step, which can be pasted.

    proa: No such image: nope:latest [no-such-image]
      next: proa import FILE.tar nope:latest

With ``--json`` it is one JSON object on standard error.
"""

from .. import NAME, jsontext
from ..errors import ProaError
from .options import UsageError
from .output import complain


def report(error: ProaError, as_json: bool = False) -> None:
    """Tell ``error`` on standard error."""
    if as_json:
        complain(jsontext.dumps(error.to_json()).decode("ascii"))
        return
    what = " ".join(error.what.split())
    complain(f"{NAME}: {what} [{error.code}]")
    if isinstance(error, UsageError):
        _usage(error)
    elif error.next_step:
        complain(f"  next: {error.next_step}")


def _usage(error: UsageError) -> None:
    if error.command:
        meant = _meant(error)
        if meant:
            complain(f"  did you mean {meant}?")
        complain(f"  usage: {NAME} {error.command.name} {error.command.usage}".rstrip())
    complain(f"  See '{error.next_step}'.")


def _meant(error: UsageError) -> str:
    if error.code != "unknown-flag" or not error.command or len(error.input) < 4:
        return ""
    import difflib

    from .options import names

    known = [name for option in error.command.options for name in names(option)]
    close = difflib.get_close_matches(error.input, known, 1)
    return close[0] if close else ""
