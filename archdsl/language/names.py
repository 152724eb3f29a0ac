"""Names lie with the blocks, which have branches to name; here under the name the language knows them by."""

from archdsl.blocks.names import TAKEN, ArchName, Name, plain

__all__ = ["TAKEN", "ArchName", "Name", "plain"]
