"""Every error that a user can meet: a stable code, what happened, to which input, and the next step.

One tree for the library, the engine and the command line. ``ERRORS`` maps each code, once, to an HTTP status
(Docker Engine API) and to an exit code of the command line. Imports nothing: it is on every process's path.

    ProaError
    ├── NotFound         404
    ├── Conflict         409
    ├── InvalidRequest   400
    ├── HostCannot       501   this host cannot do what was asked of this hull
    ├── EngineGone       503   no engine answers, and none could be started
    └── Internal         500
"""


class ProaError(Exception):
    """An error meant for a person.

    code: stable, kebab-case, listed in docs; what: one sentence; input: the value it is about (may be empty);
    next_step: a command or sentence that can be pasted (may be empty); exit: the exit code of the command line.
    """

    status = 500
    default_code = "internal"
    default_exit = 1

    def __init__(
        self, what: str, *, code: str = "", input: str = "", next_step: str = "", exit: int | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.code = code or self.default_code
        self.input = input
        self.next_step = next_step
        self.exit = self.default_exit if exit is None else exit

    def __str__(self) -> str:
        return self.what

    def to_json(self) -> dict[str, object]:
        """The error as Docker's body ``{"message"}`` with our fields beside it (clients ignore those)."""
        body: dict[str, object] = {"message": self.what, "code": self.code}
        if self.input:
            body["input"] = self.input
        if self.next_step:
            body["next"] = self.next_step
        return body


class NotFound(ProaError):
    """The named container, image, exec instance or path does not exist."""

    status = 404
    default_code = "not-found"


class Conflict(ProaError):
    """The request contradicts the present state: a name in use, a container that runs or does not."""

    status = 409
    default_code = "conflict"


class InvalidRequest(ProaError):
    """The request is malformed, or asks for something that can never be done."""

    status = 400
    default_code = "invalid-request"


class HostCannot(ProaError):
    """This host cannot do what was asked of this hull; ``missing`` names what is missing.

    A fallback is written against this class: never something weaker in silence.
    """

    status = 501
    default_code = "host-cannot"
    default_exit = 125

    def __init__(
        self,
        what: str,
        *,
        hull: str = "",
        missing: str = "",
        code: str = "",
        input: str = "",
        next_step: str = "",
        exit: int | None = None,
    ) -> None:
        super().__init__(what, code=code, input=input, next_step=next_step, exit=exit)
        self.hull = hull
        self.missing = missing


class EngineGone(ProaError):
    """No engine answers on the socket, and none could be started."""

    status = 503
    default_code = "engine-gone"
    default_exit = 125


class Internal(ProaError):
    """Something broke inside; the log has more."""

    status = 500
    default_code = "internal"
