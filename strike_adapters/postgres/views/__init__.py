"""Read models: one module each, named by the table that it keeps."""
