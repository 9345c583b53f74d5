"""The only owners of clients.

``event_log``       Kafka through aiokafka: append with acknowledgement, read a range without a group
``log_topics``      the topics on the broker, and the name of a new log
``steady_writer``   a writer that lives through a broker's absence
``feed_reader``     a topic followed from its beginning
``intake``          the one way of events into the log
``documents``       MongoDB through Motor: the database with its indexes and write concern
``feature_store``   audio features, of one definition and scaled by one standardisation
``model_store``     models and the pointer to the served one; ``model_chunks`` their arrays in pieces
``snapshot_store``  snapshot parts and manifests in any file system of pyarrow
``spark``           a Spark session and its Java virtual machine; ``python_path`` is how its workers find us
"""
