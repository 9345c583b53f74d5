"""The worker: plays -> histories -> recommendations. Faust lives here and nowhere else.

``chunks``       what is overridden in Faust: chunks of records, done marks
``faust_app``    the settings of Faust
``app``          the agent; the wiring of a worker
``partitions``   the states in memory, kept equal to the log: fold, hole, restore
``restore``      newest part + the log from its cut
``parts``        a state as a snapshot part, and back
``serving``      catalogue, charts and models as they are ranked with
``lists``        ranking, and lists sent until acknowledged
``reranking``    lists beside the live ones: after an activation, and with rails that are owed
``archive``      applied events to MongoDB, until acknowledged
``dead_letters`` records that cannot be folded, with their reason
``delivery``     when a chunk is done
``snapshots``    barriers, manifests, ``SnapshotReady``
``chart_changes``, ``chart_counts``  the archive counted into hourly buckets
``charts``       what was listened to most, overall and by genre
``log_identity`` whether the log is still the one that the worker was started on
``inspection``   metrics and state on a loopback port
``audit``, ``verify``  the log folded again, independently
``replay``       the log folded into a complete snapshot, without a worker
"""
