"""The only package that knows Ray and MLflow: tasks, trainings, searches, runs."""
