"""Built-in data whose truth is known: moving digits."""
