"""What the code says: triggers, the index, names, strings, flows, the walk and the context."""
