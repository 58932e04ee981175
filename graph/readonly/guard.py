"""What a read-only query may say, on either store: the rules that exploration enforces before anything runs.

The check reads tokens, never raw text: a keyword inside a string, a comment or a quoted name is no keyword,
and one hidden by comments, case or look-alike letters still is. It errs on the side of refusing: a variable
called `set` has to be renamed. It is the first of two walls: the Neo4j store also asks the server for the
query's type, and the embedded store also opens its files read-only.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from graph.errors import QueryRefused
from graph.readonly.names import (
    BEFORE_PARENTHESIS,
    FIRST_WORDS,
    FORBIDDEN_WORDS,
    FUNCTIONS,
    PROCEDURES,
    REFUSED_STARTS,
)

Dialect = Literal["neo4j", "ladybug"]

MAX_QUERY_CHARACTERS = 100_000
"""A longer query is refused unread."""

MAX_RESULT_BYTES = 64 * 2**20
"""A result over this size is refused."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>//[^\r\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<parameter>\$(?:\w+|`(?:[^`]|``)*`))
      | (?P<quoted>`(?:[^`]|``)*`)
      | (?P<number>\d[\d_]*(?:\.\d+)?)
      | (?P<word>[^\W\d]\w*)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\u+([0-9a-f]{0,4})", re.IGNORECASE)
_NAMES = ("word", "quoted")


class Token(NamedTuple):
    """A piece of a query: its kind (`word`, `quoted`, `string`, `number`, `parameter`, `symbol`), its text.

    A word's text is upper-cased after compatibility normalisation, a quoted name's is without its backticks.
    """

    kind: str
    text: str


def check_read_only(cypher: str, dialect: Dialect) -> None:
    """Refuse a query that could write, administer, read files or leave the graph.

    Raises `QueryRefused` with a one-line reason.
    """
    if len(cypher) > MAX_QUERY_CHARACTERS:
        raise QueryRefused(f"a query of {len(cypher):,} characters; at most {MAX_QUERY_CHARACTERS:,} are allowed")
    tokens = _single_statement(list(tokenise(cypher)))
    _check_first_word(tokens)
    for position, token in enumerate(tokens):
        if token.kind == "word" and not _is_property(tokens, position):
            if token.text in FORBIDDEN_WORDS:
                raise QueryRefused(f"{token.text} is not read-only; quote it with backticks if it is a name")
            if token.text == "CALL":
                _check_call(tokens, position, dialect)
        if token == ("symbol", "("):
            _check_function(tokens, position, dialect)


def tokenise(cypher: str) -> Iterator[Token]:
    """The tokens of a query without spaces and comments.

    Raises `QueryRefused` for what no well-meant query contains: an unfinished string, quoted name or comment,
    invisible characters outside strings, an escape for an ASCII character (servers disagree on when `\\u0027`
    becomes a quote).
    """
    for match in _TOKEN.finditer(cypher):
        kind, text = str(match.lastgroup), match.group()
        _check_escapes(kind, text)
        if kind == "symbol" and (text in "'\"`" or cypher.startswith("/*", match.start())):
            raise QueryRefused(f"unfinished string, name or comment at character {match.start() + 1}")
        if text == "\\":  # some servers decode a u-escape to a letter before they read the query
            raise QueryRefused(f"a backslash outside a string, at character {match.start() + 1}")
        if kind not in ("string", "comment"):
            _check_visible(text, match.start())
        if kind == "word":
            yield Token(kind, unicodedata.normalize("NFKC", text).upper())
        elif kind == "quoted":
            yield Token(kind, text[1:-1].replace("``", "`"))
        elif kind not in ("space", "comment"):
            yield Token(kind, text)


def _check_escapes(kind: str, text: str) -> None:
    for escape in _ESCAPE.finditer(text):
        digits = escape.group(1)
        if kind != "string" or len(digits) < 4 or int(digits, 16) < 128:
            raise QueryRefused(f"the escape {escape.group()!r} is not allowed; write the character itself")


def _check_visible(text: str, start: int) -> None:
    for character in text:
        if character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs"):
            raise QueryRefused(f"invisible character U+{ord(character):04X} near character {start + 1}")


def _single_statement(tokens: list[Token]) -> list[Token]:
    while tokens and tokens[-1] == ("symbol", ";"):
        tokens.pop()
    if ("symbol", ";") in tokens:
        raise QueryRefused("more than one statement; send one at a time")
    if not tokens:
        raise QueryRefused("the query is empty; start with MATCH, RETURN or CALL")
    return tokens


def _check_first_word(tokens: Sequence[Token]) -> None:
    kind, text = tokens[0]
    if kind != "word" or text not in FIRST_WORDS:
        reason = REFUSED_STARTS.get(text, "is not how a read-only query starts")
        raise QueryRefused(f"{text[:40]} {reason}; start with {', '.join(sorted(FIRST_WORDS))}")


def _is_property(tokens: Sequence[Token], position: int) -> bool:
    """Whether the word is what `name.word` reads; after a number (`1.SET`) it is a keyword again."""
    if position < 2 or tokens[position - 1] != ("symbol", "."):
        return False
    before = tokens[position - 2]
    return before.kind in (*_NAMES, "parameter") or before.text in ")]}"


def _check_call(tokens: Sequence[Token], position: int, dialect: Dialect) -> None:
    """After CALL stands a subquery or a procedure on the list (the embedded store's `CALL setting=` isn't)."""
    following = tokens[position + 1 :]
    if following and following[0].text in "{(" and following[0].kind == "symbol":
        return
    parts = _dotted_name(following)
    name = ".".join(parts).lower()
    has_arguments = bool(parts) and following[2 * len(parts) - 1 : 2 * len(parts)] == [("symbol", "(")]
    if name not in PROCEDURES[dialect] or (dialect == "ladybug" and not has_arguments):
        raise QueryRefused(f"procedure {name[:80]!r} is not on the read-only list")


def _dotted_name(tokens: Sequence[Token]) -> list[str]:
    name: list[str] = []
    for place, token in enumerate(tokens):
        if place % 2 == 0 and token.kind in _NAMES:
            name.append(token.text)
        elif place % 2 == 0 or token != ("symbol", "."):
            break
    return name


def _check_function(tokens: Sequence[Token], position: int, dialect: Dialect) -> None:
    """Before a parenthesis stands a keyword, a function on the list, a called procedure or no name."""
    start = position - 1
    if start < 0 or tokens[start].kind not in _NAMES:
        return
    while start >= 2 and tokens[start - 1] == ("symbol", ".") and tokens[start - 2].kind in _NAMES:
        start -= 2
    name = ".".join(token.text for token in tokens[start:position:2])
    is_keyword = start == position - 1 and tokens[start].kind == "word" and name in BEFORE_PARENTHESIS
    is_called = start > 0 and tokens[start - 1] == ("word", "CALL") and not _is_property(tokens, start - 1)
    if not (is_keyword or is_called or name.lower() in FUNCTIONS[dialect]):
        raise QueryRefused(f"function {name.lower()[:80]!r} is not on the read-only list")
