"""Commands that do one thing to each of the containers or images named: the name printed when it is done."""

from ..errors import ProaError
from .output import document, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .options import Values


def each(values: "Values", names: "Iterable[str]", act: "Callable[[str], object]") -> int:
    """Do ``act`` for every name. One that fails is told and does not stop the others; then the exit code is 1."""
    results: list[dict[str, object]] = []
    code = 0
    for name in names:
        try:
            act(name)
            results.append({"Name": name, "Error": None})
            if not values.on("json"):
                line(name)
        except ProaError as problem:
            code = 1
            results.append({"Name": name, "Error": problem.to_json()})
            if not values.on("json"):
                from .report import report

                report(problem)
    if values.on("json"):
        document(results)
    return code
