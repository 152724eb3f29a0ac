"""Heads: what reads the pathways' ends."""
