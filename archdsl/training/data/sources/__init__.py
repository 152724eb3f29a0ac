"""Where videos come from: folders, lists, shards, pictures, and the labels beside them."""
