"""Stores behind an address: what reading and saving ask of their folder."""
