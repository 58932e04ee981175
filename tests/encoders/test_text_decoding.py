import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders import DecodeError, DecodeLimits
from encoders.text import decode_text


def test_bytes_and_strings_are_cleaned_alike():
    assert decode_text(b"\xef\xbb\xbf caf\xc3\xa9\x07 ") == "café"
    assert decode_text("cafe\u0301") == "café"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9", "byte 0xe9 at 3"),
        (b"", "empty"),
        ("  \n", "empty"),
        ("\x00", "empty"),
        ("a\ud800", "surrogate at character 1"),
        ("abcdef", "6 characters is over the limit of 5"),
    ],
)
def test_what_is_no_text_says_why(content, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_text(content, DecodeLimits(characters=5))


@given(st.binary() | st.text(st.characters()))
def test_any_input_is_text_or_one_line(content):
    try:
        text = decode_text(content)
    except DecodeError as error:
        assert "\n" not in str(error)
    else:
        assert text == text.strip() != ""
        text.encode("utf-8")
