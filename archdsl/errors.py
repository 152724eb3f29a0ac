"""What is said when a spec cannot be: one fault, or all faults of a spec at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import nlargest
from re import findall


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: what, where in the spec, which line wrote it, what was met, what was needed, a mend."""

    what: str
    at: str | None = None
    written: str | None = None
    got: str | None = None
    want: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        rows = (("at", self.at), ("written", self.written), ("got", self.got), ("want", self.want), ("fix", self.fix))
        return "\n".join([self.what, *(f"  {name:<7} {value}" for name, value in rows if value)])

    def placed(self, at: str | None, written: str | None) -> Fault:
        """The same fault with an address and a line, where it had none."""
        return replace(self, at=self.at or at, written=self.written or written)

    def under(self, at: str | None) -> Fault:
        """The same fault, its address continued upwards."""
        return replace(self, at=".".join(filter(None, (at, self.at))) or None)


class SpecError(ValueError):
    """A person wrote something that cannot be. Carries every fault found, in the order of the spec.

    It is a ValueError so that pydantic collects it beside its own findings.
    """

    faults: tuple[Fault, ...]

    def __init__(
        self,
        what: str | Iterable[Fault],
        *,
        at: str | None = None,
        written: str | None = None,
        got: str | None = None,
        want: str | None = None,
        fix: str | None = None,
    ) -> None:
        if isinstance(what, str):
            what = (Fault(what=what, at=at, written=written, got=got, want=want, fix=fix),)
        self.faults = tuple(what)
        super().__init__("\n\n".join(map(str, self.faults)))

    def placed(self, at: str | None = None, written: str | None = None) -> SpecError:
        """The same error, its faults given an address and a line where they had none."""
        return SpecError(fault.placed(at, written) for fault in self.faults)

    def under(self, at: str | None) -> SpecError:
        """The same error, its faults' addresses continued upwards."""
        return SpecError(fault.under(at) for fault in self.faults)


def printable(text: str) -> str:
    """The text with escapes for control characters, which a terminal would obey, and for bytes that are not UTF-8."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else escaped(c) for c in text)


def escaped(character: str) -> str:
    """A character as Python spells it; a byte of a name that is not UTF-8 (PEP 383) as that byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]


def excerpt(text: str) -> str:
    """What was met, as far as it helps."""
    return text if len(text) <= 80 else text[:77] + "..."


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
