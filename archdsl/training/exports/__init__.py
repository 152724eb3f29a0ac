"""Networks as files for others."""
