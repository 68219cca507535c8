"""Vendors' benchmark suites: the commands by which they train Tacotron 2 and WaveGlow, over the one training loop."""
