"""What follows from what the code says: packs, selection, the engine, suppressions, fixes, cache, runs."""
