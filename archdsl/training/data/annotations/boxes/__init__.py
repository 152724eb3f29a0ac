"""Annotations of boxes: readers and writers of their formats."""
