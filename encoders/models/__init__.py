"""The encoders, one a module; each is found by its name in `encoders/registry.py`."""
