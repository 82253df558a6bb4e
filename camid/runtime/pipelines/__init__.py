"""The pipelines' steps, one after the other."""
