"""An image's name as the command line splits it; what a reference *is*, the engine decides."""


def split(name: str) -> "tuple[str, str]":
    """(repository, tag); a colon before a slash belongs to a registry's port."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, ""
    return repository, tag
