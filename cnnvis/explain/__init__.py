"""Techniques over samples, batch by batch: requests, failures, and the provenance of results."""
