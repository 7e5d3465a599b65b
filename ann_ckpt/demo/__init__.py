"""A small plastic network in plain numpy, and a tour of this package around it."""
