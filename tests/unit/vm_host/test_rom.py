"""The ROM that emulation is measured by, and the trial around it."""

import platform

import pytest

from proa.hull.vm import rom, trial


def test_the_reset_vector_jumps_to_the_start():
    image = rom.build(5)
    assert len(image) == rom.SIZE
    code, low, high = image[-16:-13]
    assert code == 0xE9
    assert (0xFFF3 + (low | high << 8)) & 0xFFFF == 0
    assert image.startswith(b"\x66\xb9\x05\0\0\0")


def test_no_rounds_end_at_once():
    assert rom.build(0).startswith(b"\xb0\x01\xe6\xf4\xf4")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the loop is x86_64's")
def test_the_native_loop_takes_time():
    assert 0.001 < trial._native_seconds() < 20
