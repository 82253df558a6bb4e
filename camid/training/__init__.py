"""Training of networks: pairs, patches, batches, tasks, steps, checkpoints, search spaces."""
