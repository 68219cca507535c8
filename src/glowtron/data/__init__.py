"""Recorded speech: lists of clips, their mels, the order they come in, and where in them each symbol is heard."""
