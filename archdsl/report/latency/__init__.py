"""Latency predicted from cases measured on a machine."""
