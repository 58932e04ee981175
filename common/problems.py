"""What pydantic says of a wrong value, as a plain sentence."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

_SENTENCES: Mapping[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "is no whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "is no number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "is neither true nor false"),
    **dict.fromkeys(("string_type", "path_type"), "is no text"),
    **dict.fromkeys(("byte_size", "byte_size_unit"), "is no size; write it as 64GB"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "is no list; write it as [a, b]"),
    **dict.fromkeys(("dict_type", "model_type", "mapping_type", "model_attributes_type"), "holds no keys of its own"),
    "greater_than": "must be over {gt:.10g}",
    "greater_than_equal": "must be {ge:.10g} or more",
    "less_than": "must be under {lt:.10g}",
    "less_than_equal": "must be {le:.10g} or less",
    "too_short": "has {actual_length} entries; give {min_length} or more",
    "too_long": "has {actual_length} entries; give {max_length} at most",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has a character that is not allowed; use letters, digits, '-' and '_'",
    "none_required": "must be empty",
}
_NAMES = re.compile(r"[^\W\d][\w-]*|\d+")
_KINDS = frozenset(("str", "int", "float", "bool", "dict", "list", "tuple", "set", "none", "nullable", "key", "Path"))


def place(problem: Mapping[str, Any]) -> list[str]:
    """The keys that lead to a value, without pydantic's names for the kinds that it tried."""
    return [part for part in map(str, problem["loc"]) if part not in _KINDS and _NAMES.fullmatch(part)]


def sentence(error: ValidationError) -> str:
    """What is wrong with the first wrong value: `value 'many' is no whole number`; a validator's own words stay."""
    problems = error.errors()
    first = problems[0]
    if first["type"] in ("value_error", "assertion_error"):
        return f"{first['msg'].removeprefix('Value error, ')} (value {first['input']!r})"
    same = [
        _plain(problem) for problem in problems if place(problem) == place(first)
    ]  # a value of one of several kinds
    return f"value {first['input']!r} {' and '.join(dict.fromkeys(same))}"


def _plain(problem: Mapping[str, Any]) -> str:
    context = problem.get("ctx") or {}
    if problem["type"] in ("literal_error", "enum"):
        return _none_of(problem["input"], re.findall(r"'([^']*)'", str(context["expected"])), str(context["expected"]))
    if problem["type"] in _SENTENCES:
        return _SENTENCES[problem["type"]].format_map(context)
    return str(problem["msg"]).replace("Input should be", "must be").replace("Input should", "should")


def _none_of(value: Any, known: Sequence[str], listed: str) -> str:
    near = difflib.get_close_matches(str(value), known, n=1)
    return f"is not one of {listed}" + (f"; did you mean {near[0]!r}?" if near else "")
