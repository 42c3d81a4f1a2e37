"""What all commands share at the terminal: options, how they print, progress, mistakes as one line."""
