"""The command line."""

from modalweave.cli.app import main

__all__ = ["main"]
