"""Kernel sources in Python code: who compiles them, which texts they are."""
