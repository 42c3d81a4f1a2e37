"""The bank as a static page: a visitor's own browser paints, and nothing is sent anywhere."""
