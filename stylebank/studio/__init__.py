"""The bank in a browser window: a server for one's own machine, and the page that it serves."""
