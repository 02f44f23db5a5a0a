"""What happens between two definitions of one block."""
