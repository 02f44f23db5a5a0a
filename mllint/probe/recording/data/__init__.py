"""What the data checks share: samples, lookups, loss calls, trivial features."""
