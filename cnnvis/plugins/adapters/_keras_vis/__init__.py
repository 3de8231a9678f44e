"""The process of keras-vis, which does not run beside today's Keras."""
