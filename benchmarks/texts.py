"""Does a text encoder tell what Chinese names stand for? Same-category nearest neighbours, beside chance.

    pip install babel
    python -m benchmarks.texts [--encoders lexical minilm] [--language zh]

Names of territories, languages, currencies and cities in the Unicode CLDR (as the package Babel ships it), each a text.
Prints the share of names whose nearest other name is of the same kind, by encoder, with a 95 % interval (Wilson), and
what chance would give.
"""

import argparse
import json

import numpy as np
from scipy.stats import binomtest

from encoders import make_encoder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["lexical", "minilm"])
    parser.add_argument("--language", default="zh")
    asked = parser.parse_args()
    texts, kinds = names(asked.language)
    shares = np.bincount(kinds) / len(kinds)
    result = {"names": len(texts), "chance": round(float((shares**2).sum()), 3)}
    for name in asked.encoders:
        encoder = make_encoder(name)
        vectors = encoder.encode([encoder.prepare(text, "text").array for text in texts], "text")
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -np.inf)
        same = kinds[likeness.argmax(1)] == kinds
        low, high = binomtest(int(same.sum()), len(same)).proportion_ci(method="wilson")
        result[name] = {
            "share": round(float(same.mean()), 3),
            "ci95": [round(low, 3), round(high, 3)],
            "dim": encoder.dim,
        }
    print(json.dumps(result, indent=1))


def names(language: str) -> tuple[list[str], np.ndarray]:
    """Each name once, and its kind; a name that stands for two things is left out."""
    from babel import Locale

    locale = Locale(language)
    cities = {zone.get("city") for zone in locale.time_zones.values() if zone.get("city")}
    found = [set(locale.territories.values()), set(locale.languages.values()), set(locale.currencies.values()), cities]
    once = [
        (text, kind) for kind, texts in enumerate(found) for text in sorted(texts) if sum(text in t for t in found) == 1
    ]
    return [text for text, _ in once], np.array([kind for _, kind in once])


if __name__ == "__main__":
    main()
