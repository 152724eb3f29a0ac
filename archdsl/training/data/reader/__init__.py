"""Videos decoded to clips, by processes beside the one that trains."""
