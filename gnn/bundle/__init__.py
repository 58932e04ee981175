"""The trained model on disk, and its export."""
