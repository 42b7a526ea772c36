"""Words of a Dockerfile instruction: split at blanks, with quotes and backslashes; and KEY=VALUE pairs of them."""

from __future__ import annotations


def split(text: str) -> list[str]:
    """The words of ``text``. Raises ValueError for a quote that is not closed."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = iter(text)
    for c in at:
        if c == "\\" and quote != "'":
            word = [*(word or []), next(at, "\\")]
        elif quote:
            word = word or []
            if c == quote:
                quote = ""
            else:
                word.append(c)
        elif c in "\"'":
            quote, word = c, word or []
        elif c.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word or []
            word.append(c)
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    return words if word is None else [*words, "".join(word)]


def pairs(text: str, *, old_form: bool = False) -> list[tuple[str, str]]:
    """``A=1 B="x y"`` as pairs; ``old_form``: ``A any text`` is one pair, too. Raises ValueError."""
    first, _, rest = text.strip().partition(" ")
    if old_form and "=" not in first:
        if not rest.strip():
            raise ValueError(f"{first} has no value")
        return [(first, rest.strip())]
    found = []
    for word in split(text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f"syntax error: cannot find = in {word!r}")
        found.append((key, value))
    return found
