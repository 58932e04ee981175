"""What is said of an effect: only what the tests say, always with its interval."""

from typing import Any

import pytest

from evaluation.findings import LABELS, TEMPLATES, finding, findings, size, slice_findings


def effect(verdict: str, kind: str = "alone", subject: str = "sound", **changes: Any) -> dict[str, Any]:
    sign = {"better": 1, "worse": -1, "unclear": 0.1}[verdict]
    row = {"difference": 0.02 * sign, "ci95": sorted([0.01 * sign, 0.03 * sign]), "relative": 0.1 * sign}
    row |= {"relative_ci95": sorted([0.05 * sign, 0.15 * sign]), "verdict": verdict, "kind": kind, "subject": subject}
    return row | changes


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_kind_says_each_verdict_with_its_interval(kind: str) -> None:
    said = [finding(effect(v, kind), "recall@20") for v in ("better", "worse", "unclear")]
    assert len(set(said)) == 3
    assert all("95 % interval" in sentence and "{" not in sentence for sentence in said)
    assert kind in LABELS


def test_sizes_of_a_gain_a_loss_and_neither() -> None:
    assert size(effect("better")) == "10.0 % [95 % interval 5.0 % to 15.0 %]"
    assert size(effect("worse")) == "10.0 % [95 % interval 5.0 % to 15.0 %]"
    assert size(effect("unclear", relative_ci95=[-0.05, 0.07])) == "+1.0 % [95 % interval -5.0 % to 7.0 %]"
    assert size(effect("better", relative=None)) == "0.0200 [95 % interval 0.0100 to 0.0300]"


def test_nothing_gained_is_said_first_and_plainly() -> None:
    said = findings([effect("unclear", "relation", "the triples (RELATED)", ci95=[-0.01, 0.02])], "recall@20")
    assert said[0] == "Nothing in this study can be told apart from chance."
    assert said[1].startswith("The triples (RELATED) do not help here")
    assert findings([effect("better"), effect("unclear")], "recall@20")[0].startswith("Sound on top of behaviour")


def test_an_interval_without_zero_that_does_not_survive_the_correction_is_told() -> None:
    assert "as many comparisons" in finding(effect("unclear"), "recall@20")
    assert "as many comparisons" not in finding(effect("unclear", ci95=[-0.01, 0.02]), "recall@20")


def test_slices_name_where_it_helps_and_count_the_rest() -> None:
    rows = [
        effect("better") | {"question": "audio_alone", "slice": "1-5"},
        effect("unclear") | {"question": "audio_alone", "slice": "6-10"},
    ]
    (said,) = slice_findings(rows, {"audio_alone": "by slice, sound", "text_alone": "by slice, text"})
    assert said == ("By slice, sound: gain in 1-5 (+10 % [+5, +15]), nothing can be claimed in 1 of 2 slices.")
