"""Photographs into strip stores, on Ray."""
