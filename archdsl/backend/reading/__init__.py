"""Any torch module read through torch.export: its plan, what differs from a network of ours, its weights there."""

from archdsl.backend.reading.reading import Comparison, Reading, read, reading_of_file, write_carried

__all__ = ["Comparison", "Reading", "read", "reading_of_file", "write_carried"]
