"""How networks learn: pairs and patches, batches, tasks, steps, checkpoints, search spaces."""
