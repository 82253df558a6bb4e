"""What manifests of Kubernetes and KubeRay may hold, and how those in ``cluster/`` are read."""
