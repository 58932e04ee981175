"""Progress and messages on stderr: what is quiet, what is added up, and that a title steers no terminal."""

import pytest

from modalweave import progress
from modalweave.progress import Stages, warn


def test_a_stage_is_a_line_on_stderr_with_its_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    stages = Stages()
    with stages.stage("read", "Reading the source") as report:
        report(3, 10)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("Reading the source") and err.rstrip().endswith(" s") and err.count("\n") == 1
    assert list(stages.seconds) == ["read"]


def test_a_quiet_run_says_nothing_and_still_takes_the_time(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([10.0, 12.5, 20.0, 20.25])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(now))
    stages = Stages(quiet=True)
    for _ in range(2):
        with stages.stage("train", "Training"):
            stages.note("between")
    assert capfd.readouterr() == ("", "")
    assert stages.seconds == {"train": 2.75}, "a stage that comes twice is added up"


def test_a_stage_that_fails_hands_its_error_on(capfd: pytest.CaptureFixture[str]) -> None:
    stages = Stages()
    with pytest.raises(ZeroDivisionError), stages.stage("train", "Training"):
        raise ZeroDivisionError
    assert stages.seconds == {}, "what did not end has no time"
    assert "Training" not in capfd.readouterr().err


@pytest.mark.parametrize("text", ["a \x1b[31mred\x1b[0m title", "bell \x07", "[bold]no markup[/bold]"])
def test_notes_and_warnings_are_text_and_nothing_else(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    Stages().note(text)
    warn([text])
    shown = capfd.readouterr().err
    assert "\x1b" not in shown and "\x07" not in shown
    if "[bold]" in text:
        assert shown.splitlines() == [text, f"modalweave: warning: {text}"]


def test_a_warning_is_one_line_each(capfd: pytest.CaptureFixture[str]) -> None:
    warn(["first\nand more", "second"])
    assert capfd.readouterr().err.splitlines() == [
        "modalweave: warning: first and more",
        "modalweave: warning: second",
    ]
