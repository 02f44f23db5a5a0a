"""What a file compiles, traces or captures, and what the compiled code reads and how often it is made."""
