"""The work that a document may ask for. Every bound is checked before what it bounds is done.

The largest model of the zoo has 2,800 values, 23 stages, 21 edges and 1,000 frames.
"""

BYTES = 1_000_000
"""Of a file; a spec is a few kilobytes."""
VALUES = 30_000
"""Of a document, aliases followed and repeats written out: more is a bomb."""
DEEP = 40
"""Mappings and lists within each other."""
CHAIN = 16
"""Files that extend each other, one behind the other."""
SETTINGS = 200
"""Fields that one document sets."""
MATCHES = 100
"""Names that a pattern stands for where a list or a mapping is set."""
DIGITS = 40
"""Characters of a number; none has more that a person wrote."""
NUMBER = 10**18
"""The largest number, and 1 over the smallest."""
CLIPS = PATHWAYS = 30
"""Of a network."""
STAGES = 1_000
"""Of a pathway."""
EDGES = 1_000
"""Of a network, and stages that they start from, all together."""
REPEATS = 1_000
"""Of one block."""
STEPS = 1_000
"""Of a drawn block."""
COLUMNS = 16
"""Of a fractal block, whose ops double with each."""
BRANCHES = 100
"""Of one convolution."""
OPS = 40_000
"""Of a network, those that could not be made included; a result counts one more for each 100 of its frames."""
FRAMES = 100_000
"""Of a clip, or of any map."""
AXIS = 10**9
"""Channels, rows or columns of a map."""
PLACES = 10**60
"""Numerator and denominator of a place in time or space."""
SEEN = 500_000_000
"""Bytes for the frames that the elements of all maps see."""
