"""Functions of attention and tokens. The source of each is put into emitted files."""
