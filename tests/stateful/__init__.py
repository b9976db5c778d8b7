"""Worlds in memory in which everything may go wrong in any order. HYPOTHESIS_PROFILE=long searches far longer."""

from __future__ import annotations

import os

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "long"
