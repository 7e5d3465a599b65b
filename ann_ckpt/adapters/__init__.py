"""Everything that is not ours: simulators and old file formats around the one model."""
