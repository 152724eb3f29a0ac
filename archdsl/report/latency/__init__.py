"""Latency told from a table of cases that a machine has measured."""
