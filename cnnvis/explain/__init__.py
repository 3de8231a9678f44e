"""A technique over samples, batch by batch: what it is given, what failed, where the result came from."""
