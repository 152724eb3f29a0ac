"""The commands and what they are given: options, help, the parser."""
