"""explain."""

from __future__ import annotations

from argparse import Namespace

from archdsl.cli.console import say, say_json


def explain_command(given: Namespace) -> int:
    """Every meaning of a word, or all words by kind."""
    from archdsl.report.explanation.page import word_list, word_record, word_text
    from archdsl.report.explanation.words import all_words, words_named

    if given.word is None:
        words = all_words()
        if given.json:
            say_json([{"word": word.name, "kind": word.kind, "about": word.line} for word in words])
        else:
            say(word_list(words))
        return 0
    found = [(word, word_record(word)) for word in words_named(given.word)]
    if given.json:
        say_json([record for _, record in found])
    else:
        say("\n\n".join(word_text(word, record) for word, record in found))
    return 0
