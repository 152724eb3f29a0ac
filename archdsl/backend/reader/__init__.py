"""Any torch module read through torch.export: its plan, what differs from a network of ours, its weights there."""

from archdsl.backend.reader.module import ModuleComparison, ModuleReading, read, reading_of_file, write_carried

__all__ = ["ModuleComparison", "ModuleReading", "read", "reading_of_file", "write_carried"]
