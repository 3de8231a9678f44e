"""Contents of pictures of an explanation, whatever renderer draws them, and the console."""
