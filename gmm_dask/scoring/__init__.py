"""What a mixture says of rows: labels, probabilities and densities, lazy or written."""
