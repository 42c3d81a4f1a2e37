"""Cores, memory, signals, processes: what there is to compute with; what is computed is for others to say."""
