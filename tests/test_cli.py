"""`python -m core`: a textbook that measures itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import __main__ as cli
from core.course import Evidence, Sentence, concept

ROOT = Path(__file__).parent.parent


def test_without_a_number_it_lists_the_twenty(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 20 and lines[1].startswith("  2  Why are the attention logits")


def test_an_answer_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["2"]) == 0
    out = capsys.readouterr().out
    assert "promised" in out and "Push-back" in out and " claims hold, measured in " in out


@pytest.mark.parametrize("nonsense", ["0", "99", "abc", "-1", ""])
def test_a_question_that_does_not_exist(nonsense: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main([nonsense])
    except SystemExit as stop:  # argparse takes “-1” for an option
        code = int(str(stop.code))
    assert code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("broken", [lambda: Evidence.exactly("one", 1, 2), lambda: 1 / 0])
def test_a_failing_proof_fails_the_command(broken: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concept("scaling"), "sentences", [Sentence("False.", broken, ({"x": 1},))])  # type: ignore[arg-type]
    assert cli.main(["2"]) == 1


def test_several_answers_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["4", "2", "4"]) == 0
    out = capsys.readouterr().out
    assert 0 <= out.index("\n4. ") < out.index("\n2. ") and out.count("\n4. ") == 1
    assert cli.main(["2", "99"]) == 2


def test_a_console_that_knows_no_greek_and_many_threads() -> None:
    """The command sets one thread by itself, and a sign that cannot be shown stops nothing."""
    program = "import sys, torch; from core.__main__ import main; code = main(['2']); assert torch.get_num_threads() == 1; sys.exit(code)"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "claims hold" in done.stdout
