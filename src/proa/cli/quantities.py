"""Numbers as people write and read them, in docker's grammar and words (go-units, strconv)."""

_BINARY = {"b": 0, "": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def integer(text: str) -> int:
    """A whole number. Raises ValueError."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def size(text: str) -> int:
    """Bytes: ``512m``, ``1.5g``, ``64KiB``; powers of 1024. ``-1`` stays. Raises ValueError."""
    if text == "-1":
        return -1
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :]
    digits = digits.rstrip(" ")
    number = _number(digits)
    if number is None:
        raise ValueError(f"invalid size: '{text}'")
    low = unit.lower()
    stem = (
        low[:-2] if low.endswith("ib") and len(low) == 3 else low[:-1] if low.endswith("b") and len(low) == 2 else low
    )
    if stem not in _BINARY:
        raise ValueError(f"invalid suffix: '{unit}'")
    whole, places = number
    scale: int = 1 << 10 * _BINARY[stem]
    return int(whole * scale // 10**places)


def decimal(text: str) -> int:
    """Billionths: ``0.5`` is 500,000,000 (--cpus). Raises ValueError."""
    number = _number(text)
    if number is None:
        raise ValueError(f"failed to parse {text} as a rational number")
    whole, places = number
    if places > 9:
        raise ValueError("value is too precise")
    return int(whole * 10 ** (9 - places))


def _number(digits: str) -> tuple[int, int] | None:
    """(n, p) for n / 10^p, or None."""
    whole, dot, part = digits.partition(".")
    joined = whole + part
    if not joined or not joined.isascii() or not joined.isdigit() or (dot and not part and not whole):
        return None
    return int(joined), len(part)


def human_size(bytes: float, digits: int = 3) -> str:
    """``1.24MB``: powers of 1000, so many significant digits."""
    return _scaled(float(bytes), 1000.0, _DECIMAL_UNITS, digits)


def human_binary(bytes: float) -> str:
    """``1.944GiB``: powers of 1024, four digits."""
    return _scaled(float(bytes), 1024.0, _BINARY_UNITS, 4)


def _scaled(value: float, base: float, units: tuple[str, ...], digits: int) -> str:
    index = 0
    while value >= base and index < len(units) - 1:
        value /= base
        index += 1
    return f"{value:.{digits}g}{units[index]}"


def human_duration(seconds: float) -> str:
    """``2 minutes``, ``About an hour``: go-units' HumanDuration."""
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    return _days(hours)


def _days(hours: int) -> str:
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
