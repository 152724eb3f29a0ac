"""Tables: the paper's Table 1, its sheet, and the formats it is written in."""
