"""What a plan says: the most that is held at once, the part that holds it, and what to do about it."""

import pytest

from common import memory
from gnn.config import GNNConfig
from gnn.footprint import Footprint, Sizes
from modalweave.stages import plan as module
from modalweave.stages.plan import estimate

GB = 1 << 30
SIZES = Sizes(1000, 500, 5000, 100)


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known rates: flops, edges and bytes per second."""
    monkeypatch.setattr(module, "_rates", lambda: (1e9, 1e6, 1e9))


def fits_of(monkeypatch: pytest.MonkeyPatch, *parts: Footprint, free: int | None = 8 * GB) -> module.Plan:
    monkeypatch.setattr(module, "footprints", lambda *_: list(parts))
    monkeypatch.setattr(memory, "available", lambda: free)
    return estimate(SIZES, GNNConfig())


def test_what_earlier_parts_keep_is_held_while_a_later_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = fits_of(monkeypatch, Footprint("second", 2 * GB, 0, lower="gnn.x"))
    after = fits_of(monkeypatch, Footprint("first", GB // 2, GB, lower="gnn.y"), Footprint("second", 2 * GB, 0))
    assert after.memory_mb - alone.memory_mb == 1024
    twice = fits_of(monkeypatch, Footprint("first", 2 * GB, 0), Footprint("second", 2 * GB, 0))
    assert twice.memory_mb == alone.memory_mb, "what is let go is not counted"


def test_what_cannot_fit_names_the_part_that_holds_most(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Footprint("small", GB, 0, lower="gnn.a"), Footprint("large", 20 * GB, 0, lower="gnn.b")
    found = fits_of(monkeypatch, *parts)
    assert not found.fits
    assert found.verdict.endswith("8.0 GiB are free: it cannot fit; large takes most, lower gnn.b")


def test_where_no_setting_helps_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fits_of(monkeypatch, Footprint("popularity", 20 * GB, 0))
    assert found.verdict.endswith("popularity takes most; free memory or take a larger machine")


def test_a_tenth_of_what_is_free_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fits_of(monkeypatch, Footprint("a", 6 * GB, 0)).fits
    assert not fits_of(monkeypatch, Footprint("a", int(6.7 * GB), 0, lower="gnn.a")).fits


def test_where_nobody_knows_what_is_free_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fits_of(monkeypatch, Footprint("a", 500 * GB, 0), free=None)
    assert (found.fits, found.available_mb) == (True, None)
    assert found.verdict.startswith("Needs about 50") and found.verdict.endswith("GiB.")


def test_seconds_are_work_over_the_machines_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fits_of(monkeypatch, Footprint("a", 1, 0, flops=2e9), Footprint("b", 1, 0, edges=3e6, moved=5e8))
    graph, first, second = found.parts
    assert (graph.name, first.seconds, second.seconds) == ("graph", 2.0, 3.5)
    assert found.seconds == pytest.approx(graph.seconds + 5.5, abs=0.1)
    assert found.sizes == {"users": 1000, "items": 500, "pairs": 5000}
