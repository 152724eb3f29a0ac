"""How well captions agree with what people wrote: exact match, BLEU and CIDEr-D, as COCO's caption tools count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp, log

Words = Sequence[str]
Counts = Counter[tuple[str, ...]]
LONGEST_GRAM = 4
"""Words of the longest n-grams."""
SIGMA = 6.0
"""Of CIDEr-D's penalty for another length."""


def n_grams(words: Words, n: int) -> Counts:
    """How often each row of n words is there."""
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def exact_match(found: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """The share of captions that somebody wrote word for word."""
    return sum(list(one) in [list(r) for r in some] for one, some in zip(found, references)) / len(found)


def bleu(found: Sequence[Words], references: Sequence[Sequence[Words]], longest: int = LONGEST_GRAM) -> float:
    """The geometric mean of the shares of n-grams that some reference has, of all captions at once.

    No n-gram counts more often than in one reference. Captions shorter than the references nearest in length are
    penalised.
    """
    value, length, wanted = 1.0, 0, 0
    for one, some in zip(found, references):
        length += len(one)
        wanted += min((len(r) for r in some), key=lambda other: (abs(other - len(one)), other))
    for n in range(1, longest + 1):
        right = guessed = 0
        for one, some in zip(found, references):
            most: Counts = Counter()
            for reference in some:
                most |= n_grams(reference, n)
            right += (n_grams(one, n) & most).total()
            guessed += max(len(one) - n + 1, 0)
        value *= (right + 1e-15) / (guessed + 1e-9)
    shorter = exp(1 - wanted / length) if 0 < length < wanted else 1.0
    return value ** (1 / longest) * shorter if length else 0.0


def cider(found: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """CIDEr-D of each caption: n-grams weighted by how rare they are among the references of these very videos."""
    documents: Counts = Counter()
    for some in references:
        documents.update({gram for r in some for n in range(1, LONGEST_GRAM + 1) for gram in n_grams(r, n)})
    rare = {gram: log(len(references)) - log(times) for gram, times in documents.items()}
    new = log(len(references))
    return [10 * sum(likeness(one, r, rare, new) for r in some) / len(some) for one, some in zip(found, references)]


def likeness(one: Words, other: Words, rare: dict[tuple[str, ...], float], new: float) -> float:
    """The mean over lengths of n-grams of the cosine of two captions, clipped, times the penalty of their lengths."""
    away = (len(one) - 1 if len(one) > 1 else 0) - (len(other) - 1 if len(other) > 1 else 0)
    total = 0.0
    for n in range(1, LONGEST_GRAM + 1):
        mine, theirs = (
            {gram: times * rare.get(gram, new) for gram, times in n_grams(words, n).items()} for words in (one, other)
        )
        product = sum(min(weight, theirs[gram]) * theirs[gram] for gram, weight in mine.items() if gram in theirs)
        norms = [sum(weight**2 for weight in some.values()) ** 0.5 for some in (mine, theirs)]
        total += product / (norms[0] * norms[1]) if all(norms) else 0.0
    return total / LONGEST_GRAM * exp(-(away**2) / (2 * SIGMA**2))
