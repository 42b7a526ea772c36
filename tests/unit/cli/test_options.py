"""docker's grammar of command lines, and its words for what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from proa.cli import catalog
from proa.cli.options import SWITCHES, Command, UsageError, key, names, parse

COMMAND = Command(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "",
    (
        ("-e, --env", "list", ""),
        ("-i, --interactive", "", ""),
        ("-t, --tty", "", ""),
        ("-m, --memory", "bytes", ""),
        ("--cpus", "decimal", ""),
        ("--name", "string", ""),
        ("-h, --hostname", "string", ""),
        ("--pids-limit", "int", ""),
        ("--sig-proxy", "switch-on", ""),
    ),
    lambda host, values, arguments: 0,
    arguments=(1, -1),
    interspersed=False,
)
MIXED = Command("stop", "", "", (("-t, --time", "int", ""),), lambda host, values, arguments: 0, arguments=(1, 2))


@pytest.mark.parametrize(
    ("line", "values", "arguments"),
    [
        ("img", {}, ["img"]),
        ("-it img -x --name y", {"interactive": True, "tty": True}, ["img", "-x", "--name", "y"]),
        ("-e A=1 -eB=2 --env C=3 --env=D=4 -e=E=5 img", {"env": ["A=1", "B=2", "C=3", "D=4", "E=5"]}, ["img"]),
        ("-ite A=1 img", {"interactive": True, "tty": True, "env": ["A=1"]}, ["img"]),
        ("-t=false --tty=true img", {"tty": True}, ["img"]),
        ("--sig-proxy=false img", {"sig-proxy": False}, ["img"]),
        ("--name= img", {"name": ""}, ["img"]),
        ("--name -x img", {"name": "-x"}, ["img"]),
        ("-h box img", {"hostname": "box"}, ["img"]),
        ("-- -img -i", {}, ["-img", "-i"]),
        ("- x", {}, ["-", "x"]),
        ("-m 512m --cpus 0.5 --pids-limit -1 img", {"memory": 512 << 20, "cpus": 5 * 10**8, "pids-limit": -1}, ["img"]),
    ],
)
def test_grammar(line: str, values: dict[str, Any], arguments: list[str]) -> None:
    assert parse(COMMAND, line.split(" ")) == (values, arguments)


def test_options_after_arguments() -> None:
    assert parse(MIXED, ["a", "-t", "3", "b"]) == ({"time": 3}, ["a", "b"])
    assert parse(MIXED, ["a", "--", "-t"]) == ({}, ["a", "-t"])


@pytest.mark.parametrize(
    ("line", "what", "exit"),
    [
        ("--foo x", "unknown flag: --foo", 125),
        ("--foo=1 x", "unknown flag: --foo", 125),
        ("-itz x", "unknown shorthand flag: 'z' in -z", 125),
        ("-m", "flag needs an argument: 'm' in -m", 125),
        ("-im", "flag needs an argument: 'm' in -m", 125),
        ("--name", "flag needs an argument: --name", 125),
        ("--memory=abc x", 'invalid argument "abc" for "-m, --memory" flag: invalid size: \'abc\'', 125),
        ("-m 1x x", 'invalid argument "1x" for "-m, --memory" flag: invalid suffix: \'x\'', 125),
        (
            "-it=bla x",
            'invalid argument "bla" for "-t, --tty" flag: strconv.ParseBool: parsing "bla": invalid syntax',
            125,
        ),
        (
            "--pids-limit x y",
            'invalid argument "x" for "--pids-limit" flag: strconv.ParseInt: parsing "x": invalid syntax',
            125,
        ),
        ("", "'proa run' requires at least 1 argument", 1),
    ],
)
def test_mistakes_in_dockers_words(line: str, what: str, exit: int) -> None:
    with pytest.raises(UsageError) as raised:
        parse(COMMAND, line.split())
    assert (raised.value.what, raised.value.exit) == (what, exit)
    assert raised.value.next_step == "proa run --help"


@pytest.mark.parametrize(
    ("arguments", "given", "what"),
    [
        ((0, 0), ["a"], "'proa x' accepts no arguments"),
        ((1, 1), [], "'proa x' requires 1 argument"),
        ((2, 2), ["a"], "'proa x' requires 2 arguments"),
        ((2, -1), ["a"], "'proa x' requires at least 2 arguments"),
        ((0, 1), ["a", "b"], "'proa x' requires at most 1 argument"),
    ],
)
def test_number_of_arguments(arguments: tuple[int, int], given: list[str], what: str) -> None:
    command = Command("x", "", "", (), lambda host, values, words: 0, arguments=arguments)
    with pytest.raises(UsageError, match=what):
        parse(command, given)


def test_help_ends_the_parsing() -> None:
    values, _ = parse(COMMAND, ["--help", "--foo"])
    assert values.on("help")
    values, _ = parse(MIXED, ["-h"])
    assert values.on("help")


def test_json_before_a_mistake_is_known() -> None:
    with pytest.raises(UsageError) as raised:
        parse(COMMAND, ["--json", "--foo"])
    assert raised.value.as_json
    with pytest.raises(UsageError) as raised:
        parse(COMMAND, ["--foo", "--json"])
    assert not raised.value.as_json


@pytest.mark.parametrize("name", [name for name, _, _ in catalog.COMMANDS])
def test_every_table_is_sound(name: str) -> None:
    command = catalog.load(name)
    assert command is not None
    assert command.name == name
    seen: set[str] = set()
    for option in command.options:
        assert option[1] in (*SWITCHES, "string", "list", "int", "decimal", "bytes")
        assert option[2][0].isupper() or option[2].startswith(("json", "table", "run:", "stop:"))
        assert not option[2].endswith(".")
        assert not seen & set(names(option))
        seen |= set(names(option))
        assert len(key(option)) > 1
    assert "--json" in seen


def test_catalog_and_table_tell_the_same_summary() -> None:
    for name, _, _ in catalog.COMMANDS:
        command = catalog.load(name)
        assert command is not None
        assert command.summary


def test_unknown_command() -> None:
    assert catalog.load("nosuch") is None
