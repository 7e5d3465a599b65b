"""Shared arrays: arrays of a checkpoint whose values are in the objects of a store."""
