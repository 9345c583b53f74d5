"""The contract between the programs: what is written, where, and how it fails.

``events``           the records of topic ``plays`` (the log) and their versions
``recommendations``  the records of the other topics: lists, impressions, snapshots, dead letters
``topics``           every topic with key, partitions and retention
``documents``        every MongoDB collection with its fields and indexes
``settings``         every ``SEGUE_`` variable with unit and default
``errors``           the error tree

Pure: nothing here imports another package of Segue or touches the outside world.
"""
