"""Photographs: records, manifest, readers of data sets, splits, simulated cameras."""
