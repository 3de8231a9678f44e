"""Processes of libraries that do not run beside today's Keras and TensorFlow."""
