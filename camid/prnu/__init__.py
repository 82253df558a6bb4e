"""Sensor noise as pure functions of arrays: filters, residuals, fingerprints, correlation."""
