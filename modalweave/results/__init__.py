"""What the stages return: frozen dataclasses whose `to_json()` is what a command prints with `--json`."""
