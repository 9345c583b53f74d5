"""HTTP: each module holds one blueprint and turns requests into calls of the services."""
