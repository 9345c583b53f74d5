"""The ranking process of a worker: it holds the models, and makes messages of histories."""
