"""Functions of regions, boxes and segments. The source of each is put into emitted files."""
