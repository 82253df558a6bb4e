"""Files: addresses, folders and object stores, decoded photographs, tables, counts in words."""
