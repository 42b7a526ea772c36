"""``proa doctor``: the rows, the table, the exit code."""

import json

import pytest

from proa.engine import diagnosis, doctor
from proa.engine.diagnosis import Diagnosis, Finding
from proa.hull.vm.accelerator import Accelerator
from proa.places import Places

TCG, KVM = Accelerator("tcg", "no /dev/kvm"), Accelerator("kvm", "works")
YES, NO = Finding("container", "yes", "works"), Finding("container", "no", "namespaces: refused", next="do this")
SPACES = {
    "yes": Finding("user namespaces", "yes", "made"),
    "no": Finding("user namespaces", "no", "refused"),
    "inside": Finding("user namespaces", "no", "made, but Permission denied inside"),
}


def host(container=YES, vm="yes"):
    return Diagnosis("a row", {"container": container, "vm": Finding("vm", vm, "tcg", "29 MB", "proa setup")}, [])


@pytest.mark.parametrize(
    ("container", "spaces", "chosen", "words"),
    [
        (YES, "yes", KVM, "root, with KVM"),
        (YES, "no", TCG, "root, without KVM"),
        (NO, "yes", TCG, "ordinary user with user namespaces, without KVM"),
        (NO, "inside", KVM, "ordinary user whose user namespaces are denied, with KVM"),
        (NO, "no", TCG, "the floor: no root, no namespaces, no mounts, no KVM"),
    ],
)
def test_rows(container, spaces, chosen, words):
    assert diagnosis._row(container, SPACES[spaces], chosen) == words


@pytest.mark.parametrize(
    ("found", "isolation", "answer"),
    [
        (host(), "", True),
        (host(NO), "", True),
        (host(NO, "no"), "", False),
        (host(NO), "process", False),
        (host(NO), "vm", True),
        (host(YES, "no"), "vm", False),
        (host(YES, "no"), "hyperv", False),
        (host(YES, "no"), "default", True),
    ],
)
def test_the_exit_code_is_about_the_hull_that_was_asked_for(found, isolation, answer):
    assert doctor.can(found, isolation) is answer


def test_the_table_names_cost_and_next_step():
    text = "\n".join(doctor.table(host(NO, "no")))
    assert "container  NO      namespaces: refused" in text
    assert "do this" in text
    assert "tcg (29 MB)" in text
    assert "proa setup" in text


def test_json_has_every_field():
    value = json.loads(json.dumps(doctor.as_json(host())))
    assert value["hulls"]["vm"] == {"name": "vm", "state": "yes", "why": "tcg", "cost": "29 MB", "next": "proa setup"}


def test_a_directory_that_cannot_be_written(tmp_path):
    assert diagnosis._directory("state", str(tmp_path / "a" / "b")).state == "yes"
    assert diagnosis._directory("state", "/proc/self/x").state == "no"


def test_a_run_directory_whose_sockets_would_not_fit(tmp_path):
    places = Places(str(tmp_path), "/tmp/" + "x" * 100)
    found = diagnosis._sockets(places)
    assert found.state == "no"
    assert "too long" in found.why
