"""Photo in, picture out: one way for every style, mixture, region and size, on any engine."""
