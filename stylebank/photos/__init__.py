"""Photos out of files: every format that cameras, phones, scanners and editors write, as upright sRGB."""
