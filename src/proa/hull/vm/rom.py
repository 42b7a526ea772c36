"""A ROM that counts: the smallest program that an emulated PC can run, to measure the emulator by.

The processor starts 16 bytes below 4 GiB, in real mode. The loop reads, adds and writes memory, since that is what
emulation makes dear. It ends by QEMU's isa-debug-exit device.
"""

import struct

SIZE = 64 << 10
ROUNDS = 100_000_000
EXIT_PORT = 0xF4
EXIT_STATUS = 3
"""isa-debug-exit ends QEMU with 2 * value + 1; the value is 1."""

_LEAVE = bytes((0xB0, 1, 0xE6, EXIT_PORT, 0xF4))  # mov al, 1; out EXIT_PORT, al; hlt
_RESET = b"\xe9\x0d\x00"  # jmp 0000, from FFF0


def build(rounds: int) -> bytes:
    """A ROM image that counts ``rounds`` and ends; 0 ends at once."""
    start = (_real_mode(rounds) if rounds else b"") + _LEAVE
    return start.ljust(SIZE - 16, b"\xf4") + _RESET.ljust(16, b"\xf4")


def _real_mode(rounds: int) -> bytes:
    return (
        b"\x66\xb9" + struct.pack("<I", rounds)  # mov ecx, rounds
        + b"\x66\xa1\x00\x10"  # mov eax, [0x1000]
        + b"\x66\x01\xc8"  # add eax, ecx
        + b"\x66\xa3\x04\x10"  # mov [0x1004], eax
        + b"\x66\x49"  # dec ecx
        + b"\x75\xf1"  # jnz
    )  # fmt: skip


def native(rounds: int) -> bytes:
    """The same loop as 64-bit machine code: a function of one pointer to two words (System V calling convention)."""
    return (
        b"\xb9" + struct.pack("<I", rounds)  # mov ecx, rounds
        + b"\x8b\x07"  # mov eax, [rdi]
        + b"\x01\xc8"  # add eax, ecx
        + b"\x89\x47\x04"  # mov [rdi + 4], eax
        + b"\xff\xc9"  # dec ecx
        + b"\x75\xf5"  # jnz
        + b"\xc3"  # ret
    )  # fmt: skip
