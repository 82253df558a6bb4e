"""Trained weights that camid comes with."""
