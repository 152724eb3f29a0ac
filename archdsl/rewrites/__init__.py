"""Ideas as functions: Arch -> Arch."""

from archdsl.rewrites.depthwise import depthwise
from archdsl.rewrites.factorize import factorize
from archdsl.rewrites.inflate import inflate
from archdsl.rewrites.separate import separate

__all__ = ["depthwise", "factorize", "inflate", "separate"]
