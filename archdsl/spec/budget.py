"""The work that a document may ask for. Every bound is checked before what it bounds is done.

The largest model of the zoo has 2,800 values, 23 stages, 21 edges and 1,000 frames.
"""

MOST_BYTES = 1_000_000
"""Of a file; a spec is a few kilobytes."""
MOST_VALUES = 30_000
"""Of a document, aliases followed and repeats written out: more is a bomb."""
MOST_NESTED = 40
"""Mappings and lists within each other."""
MOST_EXTENDS = 16
"""Files that extend each other, one behind the other."""
MOST_SETTINGS = 200
"""Fields that one document sets."""
MOST_MATCHES = 100
"""Names that a pattern stands for where a list or a mapping is set."""
MOST_DIGITS = 40
"""Characters of a number; none has more that a person wrote."""
LARGEST_NUMBER = 10**18
"""The largest number, and 1 over the smallest."""
MOST_CLIPS = MOST_PATHWAYS = 30
"""Of a network."""
MOST_STAGES = 1_000
"""Of a pathway."""
MOST_EDGES = 1_000
"""Of a network, and stages that they start from, all together."""
MOST_REPEATS = 1_000
"""Of one block."""
MOST_STEPS = 1_000
"""Of a drawn block."""
MOST_COLUMNS = 16
"""Of a fractal block, whose ops double with each."""
MOST_BRANCHES = 100
"""Of one convolution."""
MOST_OPS = 40_000
"""Of a network, those that could not be made included; a result counts one more for each 100 of its frames."""
MOST_FRAMES = 100_000
"""Of a clip, or of any map."""
LARGEST_AXIS = 10**9
"""Channels, rows or columns of a map."""
LARGEST_PLACE = 10**60
"""Numerator and denominator of a place in time or space."""
MOST_SEEN_BYTES = 500_000_000
"""Bytes for the frames that the elements of all maps see."""
