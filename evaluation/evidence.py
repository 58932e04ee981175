"""Kinds of evidence that order a list, as a reader calls them."""

from collections.abc import Mapping

EVIDENCE: Mapping[str, str] = {
    "model": "the models' own scores",
    "together": "chosen together with what the user chose",
    "text": "texts like those of what the user chose",
    "image": "looks like what the user chose",
    "audio": "sounds like what the user chose",
    "agreement": "several modalities at once",
    "popular": "popular, and how long ago",
    "friends": "chosen by people the user follows",
    "history": "how long the history is, and how popular what is in it",
}
"""Kinds of evidence of a second stage, in words; relations and attributes go by their own names."""
