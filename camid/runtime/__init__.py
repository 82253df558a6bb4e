"""What knows Ray and MLflow: sessions, distributed passes over chunks, and tracking."""
