"""Data sources: folders, lists, shards, pictures, and their labels."""
