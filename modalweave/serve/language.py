"""The words of the pages in the reader's language."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from starlette.requests import Request

Language = Literal["en", "zh"]
LANGUAGES: Mapping[Language, str] = {"en": "English", "zh": "中文"}
"""Language -> its own name."""

COOKIE = "language"


def language_of(request: Request) -> Language:
    """What the address says (`lang=zh`), else what was chosen before, else what the browser asks for."""
    said = (request.query_params.get("lang"), request.cookies.get(COOKIE))
    for language in LANGUAGES:
        if language == next((word for word in said if word in LANGUAGES), None):
            return language
    first = request.headers.get("accept-language", "en").split(",")[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"


def translator(language: Language) -> Callable[..., str]:
    """English -> the language, with `{name}` filled in: `say("{count} items", count=3)`."""
    words = {} if language == "en" else _words(language)

    def say(english: str, **values: object) -> str:
        return words.get(english, english).format(**values) if values else words.get(english, english)

    return say


@cache
def _words(language: Language) -> dict[str, str]:
    found = yaml.safe_load((Path(__file__).parent / f"{language}.yaml").read_text(encoding="utf-8"))
    return {str(english): str(words) for english, words in found.items()}
