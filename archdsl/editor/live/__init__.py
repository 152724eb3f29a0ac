"""A page in the browser that follows a spec while it is written: faults and fixes in the text, drawing and table."""
