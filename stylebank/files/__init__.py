"""Bytes that survive a crash: how files are written, locked and checked; what they mean is for others to say."""
