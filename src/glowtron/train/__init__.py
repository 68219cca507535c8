"""Training: one plain loop, a task for each model, and the run folder they write."""
