"""Vocoders and voices side by side: one page to hear and see them, with measures and speed."""
