"""What mkdocs does with links that leave docs/: they lead to files of the repository, so their text stands alone."""

from __future__ import annotations

import re
from typing import Any

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:src|scripts|tests|benchmarks|examples|[A-Z]+\.md)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page without such links."""
    return _OUTSIDE.sub(r"\1", markdown)
