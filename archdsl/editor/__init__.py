"""What an editor asks about a spec while it is written: faults with their places, completions, hovers, definitions."""
