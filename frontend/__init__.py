"""The web tier: login, player API, event intake, live lists and audio; ``web/`` holds the browser client.

``__main__`` starts Hypercorn; ``application`` wires routes to ``services``; ``routes`` turn HTTP into calls
of the modules beside them. Everything that is read from Kafka or MongoDB comes through ``connections``.
"""
