"""Fine-tuning runs: each has a folder, a key and checkpoints of its own; Ray Tune starts and steers them."""
