"""Running on from a checkpoint, and proving that the run is the same."""
