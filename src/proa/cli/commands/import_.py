"""``proa import``: an image from a root file system's tar archive."""

import posix

from ... import NAME, jsontext
from ...client.engine import Engine, checked
from ...client.wire import target
from ...errors import InvalidRequest, ProaError
from ..options import Command
from ..output import document, line
from ..progress import Progress
from ..references import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Import FILE, or standard input (-), and print the image's id."""
    source, name = arguments[0], arguments[1] if len(arguments) > 1 else ""
    repository, tag = split(name)
    fd = _open(source)
    with Progress("importing", _size(fd), "unpacking") as told:
        id = _import(host, _target(values, repository, tag), fd, told)
    _show(values, {"Id": id, "Name": name})
    return 0


def _import(host: "Host", query: str, fd: int, told: Progress) -> str:
    connection = Engine(host).connect()
    connection.send_file("POST", query, fd, "application/x-tar", told)
    told.sent()
    last = ""
    for text in checked(connection.response("POST")).lines():
        last = _progress(jsontext.loads(text)) or last
    return last


def _show(values: "Values", made: "dict[str, str]") -> None:
    format = values.text("format")
    if values.on("json") or format == "json":
        document(made)
    elif format:
        from ..template import Template

        line(Template(format).render(made))
    else:
        line(made["Id"])


def _size(fd: int) -> int:
    """Of a file, in bytes; 0 for a pipe."""
    info = posix.fstat(fd)
    return info.st_size if info.st_mode & 0o170000 == 0o100000 else 0


def _open(source: str) -> int:
    if source == "-":
        return 0
    if source.startswith(("http://", "https://")):
        what = "import reads a file or standard input; it does not fetch"
        raise InvalidRequest(
            what, code="import-url", input=source, next_step=f"curl -L {source} | {NAME} import - NAME"
        )
    try:
        fd = posix.open(source, posix.O_RDONLY | posix.O_CLOEXEC)
        posix.read(fd, 0)
    except OSError as problem:
        what = f"open {source}: {(problem.strerror or str(problem)).lower()}"
        raise InvalidRequest(what, code="cannot-read", input=source) from problem
    return fd


def _target(values: "Values", repository: str, tag: str) -> str:
    query = target(
        "/images/create", fromSrc="-", repo=repository or None, tag=tag or None, message=values.get("message"),
        platform=values.get("platform"),
    )  # fmt: skip
    from ...client.wire import quote

    return query + "".join(f"&changes={quote(change)}" for change in values.list("change"))


def _progress(message: "dict[str, object]") -> str:
    """A line of the answer: the id, in the end. Raises ProaError: what it says when it failed."""
    problem = message.get("error")
    if problem:
        detail = message.get("errorDetail")
        fields = detail if isinstance(detail, dict) else {}
        raise ProaError(
            str(problem), code=str(fields.get("code") or "import-failed"), next_step=str(fields.get("next") or "")
        )
    return str(message.get("status") or "")


COMMAND = Command(
    "import",
    "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
    "Make an image from a root file system's tar archive",
    (
        ("-c, --change", "list", "Apply Dockerfile instruction to the created image"),
        ("-f, --format", "string", "json or a template: {{.Id}}, {{.Name}}"),
        ("-m, --message", "string", "Set commit message for imported image"),
        ("--platform", "string", "Set platform if server is multi-platform capable"),
    ),
    run,
    arguments=(1, 2),
    examples=(
        f"{NAME} import rootfs.tar debian",
        f"mmdebstrap --variant=minbase bookworm - | {NAME} import - debian",
    ),
)
