"""What there is to draw of an explanation, whatever draws it, and the console."""
