"""Ideas as functions: Arch -> Arch."""

from archdsl.rewrites.inflate import inflate
from archdsl.rewrites.separate import separate

__all__ = ["inflate", "separate"]
