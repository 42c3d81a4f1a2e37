"""Images in and out of files, and drawn ones: what a pixel is; what a network makes of it is for others to say."""
