"""Files: addresses, folders and object stores, decoded photographs, tables, output layout."""
