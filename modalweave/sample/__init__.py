"""The synthetic sample catalogue and the demo."""
