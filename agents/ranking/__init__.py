"""The ranking processes of a worker: they hold the models, and make messages of histories."""
