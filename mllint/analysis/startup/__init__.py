"""What happens while modules are imported: what is built, and which configuration is read for good."""
