"""The rule for choices in YAML lies with the blocks, which nest; here under the name the language knows it by."""

from archdsl.blocks.keyed import fields_of, keyed, kinds_by_key, unkeyed

__all__ = ["fields_of", "keyed", "kinds_by_key", "unkeyed"]
