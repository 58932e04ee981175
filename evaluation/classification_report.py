"""The report's section on link prediction as classification."""

from collections.abc import Mapping
from typing import Any

from common.page import Cell, Figure, Paragraph, Points, Section, Table
from common.plots import as_svg
from evaluation.plots import calibration_plot
from evaluation.report_cells import mean_cell

_MEANING: Mapping[str, str] = {
    "accuracy": "share of all pairs that are told rightly",
    "precision": "share of the pairs said to be links that are",
    "recall": "share of the links that are said to be",
    "f1": "harmonic mean of the two",
    "auc": "chance that a user's link stands above what is none, averaged over users",
    "average_precision": "precision at each of a user's links in the whole ranking, averaged over users",
}


def classification_section(found: Mapping[str, Any]) -> Section:
    """Of `classification` in `metrics.json`."""
    said = (
        f"Is there a link? {found['pairs']:,} test pairs of {found['users']:,} users, all but what they had in train; "
        f"{found['links']:,} are links. The threshold, {found['threshold']:.2f} deviations above a user's mean score, "
        f"is the one with the highest F1 on validation. Links are rare: predicting none at all has an accuracy of "
        f"{found['never']:.1%}."
    )
    rows: list[list[Cell]] = [[name, mean_cell(value)] for name, value in found["metrics"].items()]
    meanings = [f"{name}: {_MEANING[name]}" for name in found["metrics"] if name in _MEANING]
    points: list[list[Cell]] = [
        [f"{point['predicted']:.2%}", _percent(point["observed"]), f"{point['pairs']:,}"] for point in found["curve"]
    ]
    caption = (
        "Calibration: what share of the pairs with such a probability (learned on validation) are links; on the line "
        "it is as predicted. Bars are 95 % intervals, both axes logarithmic."
    )
    return Section(
        "Link prediction as classification",
        [
            Paragraph(said),
            Table(["metric", "value"], rows),
            Points(meanings),
            Figure(as_svg(calibration_plot(found["curve"]), "calibration"), caption, wide=True),
            Table(["predicted", "are links", "pairs"], points),
        ],
    )


def _percent(value: Mapping[str, Any]) -> Cell:
    size = f"{value['mean']:.2%}"
    return (size, f"{value['ci95'][0]:.2%} to {value['ci95'][1]:.2%}") if "ci95" in value else size
