"""Scores to figures: error rates with intervals, calibration, fusion, results and their report."""
