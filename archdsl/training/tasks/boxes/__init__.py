"""Tasks whose answers are boxes, with their losses."""
