"""Boxes that networks find: measures and pictures."""
