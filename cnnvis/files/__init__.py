"""Files: read within bounds, written whole or not at all, looked at in a process with limits."""
