"""What a search comes back to is made once, and no more than two values are held."""

from gnn.closed_form.held import Held


def test_the_latest_and_the_kept_one_are_held() -> None:
    made: list[str] = []
    held = Held[str]()

    def ask(key: str) -> str:
        def make() -> str:
            made.append(key)
            return key.upper()

        return held(key, make)

    assert [ask("a"), ask("a")] == ["A", "A"]
    held.keep("a")
    assert [ask("b"), ask("a"), ask("b")] == ["B", "A", "B"]
    assert made == ["a", "b"]
    assert ask("c") == "C"
    assert (held.get("a"), held.get("b"), held.get("c")) == ("A", None, "C")
    held.keep("c")
    ask("d")
    assert held.get("a") is None
    held.forget()
    ask("d")
    assert made == ["a", "b", "c", "d", "d"]
