"""Published checkpoints become voices of ours, once, without running anything in them."""

from glowtron.importers.published import Published, read_published

__all__ = ["Published", "read_published"]
