"""Worlds in memory in which everything may go wrong in any order. HYPOTHESIS_PROFILE=long searches far longer."""

from __future__ import annotations

import os

from hypothesis import Phase

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "long"
MUTANT = "BRIDGE_MUTANT" in os.environ
RUNS = 3000 if SOAK or MUTANT else 300  # of the machine; a mutant's end with the first that finds it
PHASES = (Phase.generate,) if MUTANT else tuple(Phase)  # nobody reads how a mutant fails
