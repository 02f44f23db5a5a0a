"""What string an expression denotes, and where each of its characters stands."""
