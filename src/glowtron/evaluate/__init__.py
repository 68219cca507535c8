"""How good a voice is: measures of its sound, its words and its attention, beside the real speaker."""
