"""The strip store: plan, chunk file, index, build, verification and reading."""
