"""The observer in a terminal: it asks a running program over HTTP, and shows the answers as text."""
