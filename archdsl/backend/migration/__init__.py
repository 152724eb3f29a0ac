"""A module that was read as a spec: stages of known blocks where it has their form, drawn blocks where it has not."""

from archdsl.backend.migration.migration import Migration, migration_of

__all__ = ["Migration", "migration_of"]
