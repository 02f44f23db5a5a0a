"""For authors of rules: docs, scaffolding, the fixture harness."""
