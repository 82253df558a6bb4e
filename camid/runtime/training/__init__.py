"""Networks trained by Ray Train, and the classifier's answers."""
