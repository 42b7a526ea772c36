"""zstd through the system's libzstd.so.1, as Python has no decoder of its own before 3.14. API: zstd.h, streaming.

dpkg, systemd and QEMU link that library, so it is on nearly every host; where it is not, the error says what to do.
"""

from __future__ import annotations

import ctypes
import weakref

from ..errors import InvalidRequest

_WINDOW_LOG_MAX = 27  # 128 MB: what `zstd -d` accepts unasked
_PARAMETER_WINDOW_LOG_MAX = 100


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t))


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError as problem:
        raise InvalidRequest(
            "this archive is compressed with zstd, and libzstd.so.1 is not on this host",
            code="compression-unsupported",
            next_step="zstd -dc FILE | proa import - NAME",
        ) from problem
    size, pointer, buffer = ctypes.c_size_t, ctypes.c_void_p, ctypes.POINTER(_Buffer)
    for name, result, arguments in (
        ("ZSTD_createDCtx", pointer, ()),
        ("ZSTD_freeDCtx", size, (pointer,)),
        ("ZSTD_DCtx_setParameter", size, (pointer, ctypes.c_int, ctypes.c_int)),
        ("ZSTD_decompressStream", size, (pointer, buffer, buffer)),
        ("ZSTD_isError", ctypes.c_uint, (size,)),
        ("ZSTD_getErrorName", ctypes.c_char_p, (size,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Decoder:
    """One zstd frame, in the shape of bz2.BZ2Decompressor. Raises EOFError for a damaged frame."""

    def __init__(self) -> None:
        self._zstd = _library()
        self._context = self._zstd.ZSTD_createDCtx()
        if not self._context:
            raise MemoryError
        self._free = weakref.finalize(self, self._zstd.ZSTD_freeDCtx, self._context)
        self._zstd.ZSTD_DCtx_setParameter(self._context, _PARAMETER_WINDOW_LOG_MAX, _WINDOW_LOG_MAX)
        self._rest = b""
        self.eof = False
        self.needs_input = True

    @property
    def unused_data(self) -> bytes:
        """What came behind the frame's end."""
        return self._rest if self.eof else b""

    def decompress(self, data: bytes, max_length: int = 1 << 20) -> bytes:
        """At most ``max_length`` plain bytes; what is left of ``data`` is kept."""
        data = self._rest + data
        out = ctypes.create_string_buffer(max_length)
        given = _Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        made = _Buffer(ctypes.cast(out, ctypes.c_void_p), max_length, 0)
        left = self._zstd.ZSTD_decompressStream(self._context, ctypes.byref(made), ctypes.byref(given))
        if self._zstd.ZSTD_isError(left):
            raise EOFError(self._zstd.ZSTD_getErrorName(left).decode())
        self._rest = data[given.pos :]
        self.eof = left == 0
        # a full output buffer: the decoder may hold more, whether or not it has read all of the input
        self.needs_input = not self._rest and made.pos < max_length
        return out.raw[: made.pos]
