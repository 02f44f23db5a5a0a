"""The torch side of the probe: it runs the user's code in a child process and hands back a `Trace`."""
