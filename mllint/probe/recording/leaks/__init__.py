"""What the leak checks share: calls made again with other inputs, and who is to blame for what leaks."""
