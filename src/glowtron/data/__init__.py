"""Recorded speech: lists of clips, cached mels, datasets, the order of training, and forced alignments."""
