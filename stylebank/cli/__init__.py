"""What a person types: parses, calls one function, prints."""
