"""Every command: its name, the module under ``commands`` that holds it, and one line about it, in order of use.

A module is imported only when its command is given. ``load`` is the one place that does it.
"""

from .. import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Command

COMMANDS: "tuple[tuple[str, str, str], ...]" = (
    ("run", "run", "Create and run a new container from an image"),
    ("exec", "exec", "Execute a command in a running container"),
    ("ps", "ps", "List containers"),
    ("logs", "logs", "Fetch the logs of a container"),
    ("attach", "attach", "Attach local standard streams to a running container"),
    ("inspect", "inspect", "Return low-level information on containers and images"),
    ("create", "create", "Create a new container"),
    ("start", "start", "Start one or more stopped containers"),
    ("stop", "stop", "Stop one or more running containers"),
    ("restart", "restart", "Restart one or more containers"),
    ("kill", "kill", "Kill one or more running containers"),
    ("pause", "pause", "Pause all processes within one or more containers"),
    ("unpause", "unpause", "Unpause all processes within one or more containers"),
    ("wait", "wait", "Block until one or more containers stop, then print their exit codes"),
    ("rename", "rename", "Rename a container"),
    ("rm", "rm", "Remove one or more containers"),
    ("import", "import_", "Make an image from a root file system's tar archive"),
    ("images", "images", "List images"),
    ("tag", "tag", "Give an image one more name"),
    ("rmi", "rmi", "Remove one or more images"),
    ("events", "events", "Get real time events from the engine"),
    ("version", "version", "Show the version of client and engine"),
    ("info", "info", "Show what the engine knows about itself and this host"),
    ("doctor", "doctor", "Say what this host can run, what is missing, and how to get it"),
    ("setup", "setup", "Fetch the kernel and QEMU that virtual machines need"),
    ("engine", "engine", "Run, stop and find the engine"),
    ("completion", "completion", "Print a completion script for bash, zsh or fish"),
)


def load(name: str) -> "Command | None":
    """The command called ``name``; None: there is none."""
    for known, module, _ in COMMANDS:
        if known == name:
            path = f"{__package__}.commands.{module}"
            command: Command = __import__(path, fromlist=["COMMAND"]).COMMAND
            return command
    return None


def overview() -> str:
    """What ``proa`` alone prints."""
    width = max(len(name) for name, _, _ in COMMANDS) + 3
    rows = [f"  {name:{width}}{summary}" for name, _, summary in COMMANDS]
    return f"""Usage:  {NAME} [OPTIONS] COMMAND

Runs applications as containers or as virtual machines: one image, one command, one API.

  {NAME} import rootfs.tar debian            make an image from a root file system
  {NAME} run -it debian bash                 run it as a container
  {NAME} run -it --isolation vm debian bash  the same, with a kernel of its own
  {NAME} doctor                              what this host can do

Commands:
{chr(10).join(rows)}

Options:
      --root DIR        Where this engine keeps things (PROA_ROOT)
  -H, --host URL        Socket of the engine, unix:///PATH (PROA_HOST)
      --debug           Show where an error comes from
  -v, --version         Print version and quit

'{NAME} COMMAND --help' tells more about a command.
"""
