"""The accelerator as a pure function of recorded facts: one row a kind of host."""

import pytest

from proa.errors import HostCannot, InvalidRequest
from proa.hull.vm import accelerator
from proa.hull.vm.accelerator import HostFacts, choose, decide


def facts(machine="x86_64", flags="", modules="", device="opens", verdict="unknown", reason=""):
    return HostFacts(machine, frozenset(flags.split()), frozenset(modules.split()), device, verdict, reason)


ROWS = {
    "Intel": (facts(flags="vmx", modules="kvm kvm_intel", verdict="boots"), "kvm", "a kernel was booted"),
    "AMD": (facts(flags="svm", modules="kvm kvm_amd", verdict="boots"), "kvm", "a kernel was booted"),
    "nested Intel": (facts(flags="vmx hypervisor", modules="kvm kvm_intel", verdict="boots"), "kvm", "booted"),
    "arm64": (facts("aarch64", verdict="boots"), "kvm", "a kernel was booted"),
    "Intel, untried": (facts(flags="vmx", modules="kvm kvm_intel"), "tcg", "no kernel has been booted"),
    "arm64, untried": (facts("aarch64"), "tcg", "no kernel has been booted"),
    "arm64 without": (facts("aarch64", device="absent"), "tcg", "no virtualization"),
    "Intel, does not boot": (
        facts(flags="vmx", modules="kvm kvm_intel", verdict="fails", reason="not within 20 s"),
        "tcg",
        "no kernel boots with it (not within 20 s)",
    ),
    "opens but cannot boot": (facts(flags="hypervisor", modules="kvm kvm_pvm"), "tcg", "kvm_pvm"),
    "nested without KVM": (facts(flags="hypervisor", device="absent"), "tcg", "itself a virtual machine"),
    "module not loaded": (facts(flags="svm", device="absent"), "tcg", "kvm_amd is not loaded"),
    "off in the firmware": (facts(device="absent"), "tcg", "shows no virtualization"),
    "no permission": (facts(flags="vmx", modules="kvm kvm_intel", device="denied"), "tcg", "may not open"),
    "not KVM at all": (facts(flags="vmx", modules="kvm_intel", device="broken"), "tcg", "does not answer"),
    "no module": (facts(flags="vmx", modules="kvm"), "tcg", "neither kvm_intel nor kvm_amd"),
    "flags hidden": (facts(flags="hypervisor", modules="kvm kvm_intel"), "tcg", "neither vmx nor svm"),
}
STEPS = {
    "no permission": "usermod -aG kvm",
    "nested without KVM": "nested virtualization",
    "module not loaded": "modprobe kvm_amd",
    "off in the firmware": "firmware",
}


@pytest.mark.parametrize("row", ROWS)
def test_choose(row):
    found, kind, why = ROWS[row]
    chosen = choose(found)
    assert chosen.kind == kind
    assert why in chosen.why
    assert STEPS.get(row, "") in chosen.next_step
    assert chosen.untried == row.endswith("untried")


def test_emulation_says_what_it_is_worth():
    assert "no security boundary" in choose(ROWS["no permission"][0]).boundary
    assert "hardware" in choose(ROWS["Intel"][0]).boundary


def test_a_trial_is_made_only_where_it_can_change_the_answer():
    def never():
        raise AssertionError("tried")

    for row, (found, kind, _why) in ROWS.items():
        if not row.endswith("untried"):
            assert decide(found, never).kind == kind


@pytest.mark.parametrize(("answer", "kind"), [(("boots", "in 1 s"), "kvm"), (("fails", "silence"), "tcg")])
def test_the_trial_decides(answer, kind):
    chosen = decide(ROWS["Intel, untried"][0], lambda: answer)
    assert chosen.kind == kind
    assert not chosen.untried


def test_forced():
    host = ROWS["opens but cannot boot"][0]
    assert choose(host, "kvm").kind == "kvm"
    assert choose(ROWS["Intel"][0], "tcg").kind == "tcg"
    with pytest.raises(InvalidRequest):
        choose(host, "hvf")
    with pytest.raises(HostCannot) as refused:
        choose(ROWS["no permission"][0], "kvm")
    assert refused.value.code == "kvm-missing"
    assert "usermod" in refused.value.next_step


def test_gather_reads_recorded_files(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu vmx sse2 hypervisor\n\nprocessor : 1\nflags : svm\n")
    for name in ("kvm", "kvm_intel", "virtio"):
        (tmp_path / "module" / name).mkdir(parents=True)
    found = accelerator.gather(str(cpuinfo), str(tmp_path / "module"), str(tmp_path / "none"), "x86_64")
    assert found == facts(flags="vmx hypervisor", modules="kvm kvm_intel", device="absent")


def test_a_device_that_is_no_kvm_is_broken():
    assert accelerator.gather(device="/dev/null").device == "broken"
