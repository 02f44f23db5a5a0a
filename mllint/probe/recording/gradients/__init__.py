"""Gradients on their way through the user's model: how far they come, and what stops them."""
