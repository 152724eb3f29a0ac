"""How others name, nest and lay out the tensors of our addresses: zoo/weights/SOURCE.yaml, read without torch."""

from archdsl.catalog.dialects.rules import Input, Naming, TensorLayout
from archdsl.catalog.dialects.shelf import Dialect, dialects, naming_named, namings

__all__ = ["Dialect", "Input", "Naming", "TensorLayout", "dialects", "naming_named", "namings"]
