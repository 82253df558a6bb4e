"""Runs in MLflow: its client, registry and pages."""
