"""Shell commands in Python code, and what they are about."""
