"""What a word of the language means, read off the classes themselves."""
