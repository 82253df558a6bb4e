"""Which photographs there are: manifest, readers, splits, models' siblings, simulated cameras."""
