"""Proa: one engine with two unlike hulls, containers and virtual machines.

``NAME`` is the one place where the product's name is written; ``__version__`` the one place of its version.
"""

NAME = "proa"
__version__ = "0.1.0"
