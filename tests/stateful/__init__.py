"""Worlds in memory in which everything may go wrong in any order. HYPOTHESIS_PROFILE=long searches far longer."""

from __future__ import annotations

import os

from hypothesis import Phase

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "long"
PHASES = tuple(Phase) if "BRIDGE_MUTANT" not in os.environ else (Phase.generate,)  # nobody reads how a mutant fails
