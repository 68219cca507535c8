"""Published checkpoints become voices of ours, once, without running anything in them."""

from glowtron.importers.published import Published, read_published
from glowtron.importers.voices import import_voice

__all__ = ["Published", "import_voice", "read_published"]
