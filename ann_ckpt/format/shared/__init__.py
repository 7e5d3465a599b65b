"""Arrays whose values lie in the objects of a store."""
