"""Two sides to a score: comparison lists, methods, statistics, networks. Knows no label."""
