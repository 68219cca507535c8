"""The models, as plain tensor functions: each file reads top-down as parts, then whole."""
