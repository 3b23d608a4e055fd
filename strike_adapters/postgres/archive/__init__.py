"""Streams that are over lie beside the log: read as before, and out of the way of saves."""
