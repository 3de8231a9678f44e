"""Mathematics of metrics and of comparisons, on arrays."""
