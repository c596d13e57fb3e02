"""What is kept: run folders, checkpoints and models, on local files and object stores."""
