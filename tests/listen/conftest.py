from pathlib import Path

import pytest
from listen_material import write_systems


@pytest.fixture
def systems(tmp_path: Path) -> dict[str, Path]:
    """Four systems of tones in more and more noise."""
    return write_systems(tmp_path / "systems")
