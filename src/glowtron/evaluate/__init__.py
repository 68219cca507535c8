"""Evaluation of a voice: measures of sound, words and attention, compared with the real speaker."""
