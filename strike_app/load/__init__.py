"""`strike load`: a database filled as years of nights would have filled it, in minutes."""
