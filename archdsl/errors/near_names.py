"""Names that are known, and the nearest of them to one that is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from heapq import nlargest
from re import findall

MOST_LISTED = 20
"""Names listed in an error; a longer list helps nobody."""
MOST_COMPARED = 40
"""Names compared closely with a misspelt one: those that share the most pairs of letters."""
NEAR = 0.6
"""Share of letters, or of words and numbers, from which a name is proposed."""


def listed(known: Iterable[str], many: str = "a name in `archdsl schema`") -> str:
    """Names for the `want` of an error, or of many where they are listed."""
    names = list(known)
    return ", ".join(names) if len(names) <= MOST_LISTED else many


@lru_cache(maxsize=4096)
def letter_pairs(word: str) -> frozenset[tuple[str, str]]:
    """Neighbouring letters, the ends of the word among them."""
    word = word[:100]
    return frozenset(zip(f"^{word}", f"{word}$"))


@lru_cache(maxsize=4096)
def words_and_numbers(name: str) -> Counter[str]:
    """The words and numbers of a name: slow, 8, x, 8 and r, 50 of slow_8x8_r50."""
    return Counter(findall(r"[^\W\d_]+|\d+", name[:100]))


def shared_words(a: Counter[str], b: Counter[str]) -> float:
    """The share of words and numbers that two names have in common, in any order."""
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def words_alike(a: Counter[str], b: Counter[str]) -> float:
    """The same, where another number, or another single letter, is half in common: of a size, or of an axis."""
    return (shared_words(a, b) + shared_words(kinds_of_words(a), kinds_of_words(b))) / 2


def kinds_of_words(words: Counter[str]) -> Counter[str]:
    """All numbers as one, all single letters as another."""
    return Counter("9" if word.isdigit() else "x" if len(word) == 1 else word for word in words.elements())


def shared_pairs(a: frozenset[tuple[str, str]], b: frozenset[tuple[str, str]]) -> float:
    """The share of pairs that two words have in common: what is compared closely is chosen by it."""
    return len(a & b) / (len(a) + len(b))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A mend for a misspelt name, or None when nothing is near."""
    return next(iter(nearest_names(word, known, 1)), None)


def nearest_names(word: str, known: Iterable[str], most: int) -> list[str]:
    """The names nearest to a misspelt one, best first; by letters, and by words and numbers in any order."""
    from difflib import SequenceMatcher

    names = list(known)
    if len(names) > MOST_COMPARED:
        names = nlargest(MOST_COMPARED, names, key=lambda name: shared_pairs(letter_pairs(name), letter_pairs(word)))
    letters, parts = SequenceMatcher(b=word), words_and_numbers(word)
    found: list[tuple[float, str]] = []
    for name in names:
        letters.set_seq1(name)
        same, own = letters.ratio(), words_and_numbers(name)
        begins = min(len(name), len(word)) > 2 and (name.startswith(word) or word.startswith(name))
        if begins or max(same, shared_words(own, parts)) >= NEAR:
            found.append((same + words_alike(own, parts) + 0.25 * name.startswith(word), name))
    return [name for _, name in nlargest(most, found)]
