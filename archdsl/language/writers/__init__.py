"""An arch as text: YAML, JSON, Python."""
