"""``python -m proa``: the same as ``proa``, where no launcher was installed."""

from .cli.main import main

main()
