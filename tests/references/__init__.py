"""Maps of cnnvis beside those of other libraries, of the same networks and inputs."""
