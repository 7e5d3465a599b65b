"""A network or a run as one HTML file that needs nothing else: ``ann-ckpt report``."""
