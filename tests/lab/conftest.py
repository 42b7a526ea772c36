"""What is in inside/ runs in the lab only: ``make lab`` loads lab.plugin, which sends it there."""

from __future__ import annotations

import os
import sys

INSIDE = "PROA_LAB_LINES" in os.environ
collect_ignore = [] if INSIDE or "lab.plugin" in sys.modules else ["inside"]
