"""The levels of the compiled layers that this processor has."""

import pytest

from glowtron.engines.cpu_wn_native import find_levels

FOUND = find_levels()
HERE = [(level, kind) for level in FOUND.levels for kind in level.kinds]
every_way_here = pytest.mark.parametrize(
    ("level", "kind"), HERE, ids=[f"{kind} by {level.name}" for level, kind in HERE]
)
needs_compiled = pytest.mark.skipif(not FOUND.levels, reason=f"nothing compiled: {FOUND.why_not}")
