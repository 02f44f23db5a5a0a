"""One file a check: its `CHECK` and its measurement as frozen plain data. No torch here."""
