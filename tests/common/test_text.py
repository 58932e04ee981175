"""Text from outside: an error is one line, the same in every run; nothing steers a terminal."""

import io

from hypothesis import given
from hypothesis import strategies as st

from common.text import one_line, printable, suggestion


def test_an_error_is_one_line() -> None:
    assert one_line(ValueError("a\n  b\t c")) == "a b c"
    assert one_line(KeyError()) == "KeyError"
    assert one_line("") == ""
    assert one_line(ValueError("x" * 300)) == "x" * 200
    assert one_line("x" * 300, None) == "x" * 300
    assert one_line(ValueError(f"cannot identify {io.BytesIO()!r}")) == "cannot identify file"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(c in "\t\n" or (c.isprintable() or ord(c) >= 160) for c in shown)


def test_words_in_any_script_stay() -> None:
    assert printable("日本語 é\t\n") == "日本語 é\t\n"
    assert printable("\x1b[31mred\x9b0m\r") == "\ufffd[31mred\ufffd0m\ufffd"


def test_the_way_out_of_an_unknown_name() -> None:
    assert suggestion("cosin", ["linear", "cosine"]) == "did you mean 'cosine'?"
    assert suggestion("x", ["linear", "cosine"]) == "use one of linear, cosine"
    assert suggestion("x", iter(["linear"]), "it has") == "it has linear"
