"""What networks are for: a file a task. `choice.py` lists them."""
