"""What is counted of fits and refits for Prometheus, and the file where drivers leave it."""
