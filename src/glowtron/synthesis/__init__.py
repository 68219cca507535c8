"""Synthesis: mels and samples of sentences, checked, retried where they failed, trimmed, and at the asked rate."""
