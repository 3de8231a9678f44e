"""The Keras side: a network as a graph, its gradients, targets, positions, and how it is computed."""
