"""Text: from what people write to the symbols that an acoustic model reads."""
