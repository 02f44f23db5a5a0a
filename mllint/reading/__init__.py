"""Bytes in: files, encodings, notebooks, shell commands."""
