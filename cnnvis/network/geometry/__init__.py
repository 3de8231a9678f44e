"""Where in the input the positions of a layer lie, and how maps over them are laid over the input."""
