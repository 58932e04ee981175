"""How a room tells how far it is, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""`progress(done, total)`, in whatever the work counts; called now and then, `done` never falls."""
