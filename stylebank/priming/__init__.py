"""What flat parts of a photo are given, so that strokes begin there and know where to run."""
