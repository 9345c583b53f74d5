"""The only owners of clients.

``event_log``       Kafka through aiokafka: append with acknowledgement, read without a group, topics
``documents``       MongoDB through Motor: the database with its indexes and write concern
``model_store``     models as binary chunks, the pointer to the served one
``snapshot_store``  snapshot parts and manifests in any file system of pyarrow
"""
