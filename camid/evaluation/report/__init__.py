"""The report of a run: its facts, figures and HTML page."""
