"""Entry scripts: arguments → configuration → one call → results printed."""
