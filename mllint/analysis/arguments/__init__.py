"""Command-line parsers in Python code: what they declare, and who reads the values."""
