"""The folder of a run's results."""
