"""A Ray to work on: its session, nodes and resources, and tables mapped by its tasks."""
