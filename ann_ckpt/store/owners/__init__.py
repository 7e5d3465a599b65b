"""Who may save to a store: locks, leases, ranks, and the job that a process runs in."""
