"""Voices as ONNX graphs, and a runtime that speaks with them without torch."""
