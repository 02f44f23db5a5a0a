"""Reports in, text out: one pure function a format."""
