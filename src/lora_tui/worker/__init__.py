"""The engine. The only room with torch; it runs as its own process."""
