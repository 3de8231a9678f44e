"""Places of a layer's positions in the input, and projection of maps over them onto the input."""
