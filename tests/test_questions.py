"""docs/questions.md: every question is answered by a command that there is, a word that is explained, or a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archdsl.cli.arguments.parser import parser
from archdsl.report.explanation.words import words_named

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^\d+\. (\.\.\. [^?]+\?)(.*?)(?=^\d+\. |^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_there_are_thirty() -> None:
    assert len(QUESTIONS) >= 30
    assert [int(n) for n in re.findall(r"^(\d+)\. ", PAGE, flags=re.MULTILINE)] == list(range(1, len(QUESTIONS) + 1))


@pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_each_is_answered(question: str, answer: str) -> None:
    commands = re.findall(r"`archdsl ([^`]+)`", answer)
    links = re.findall(r"\]\(([^)]+)\)", answer)
    assert commands or links, question
    assert all((DOCS / link).exists() for link in links)
    for command in commands:
        words = command.partition(" > ")[0].split()
        given = parser().parse_args(words)
        if words[0] == "explain" and given.word:
            assert words_named(given.word), command
