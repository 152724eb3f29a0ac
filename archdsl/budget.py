"""The work that a document may ask for. Every bound is checked before what it bounds is done."""

BYTES = 1_000_000
"""Of a file; a spec is a few kilobytes."""
VALUES = 100_000
"""Of a document, aliases followed and repeats written out: more is a bomb."""
DEEP = 40
"""Mappings and lists within each other."""
CHAIN = 16
"""Files that extend each other, one behind the other."""
DIGITS = 40
"""Characters of a number; none has more that a person wrote."""
NUMBER = 10**18
"""The largest number, and 1 over the smallest."""
REPEATS = 10_000
"""Of one block."""
OPS = 100_000
"""Of a network, those that could not be made included."""
AXIS = 10**9
"""Channels, frames, rows or columns of a map."""
PLACES = 10**60
"""Numerator and denominator of a place in time or space."""
