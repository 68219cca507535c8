"""The models made fast: each function takes a model and returns something quicker with the same result."""
