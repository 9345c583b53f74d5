"""The mathematics, in NumPy, SciPy and NumKong only: no I/O, clock or client.

``history``      the one fold: ``apply(history, event) -> history``
``encoding``     the bytes of a history, and a view to read them
``windows``      effect once: a window of sequence numbers per session
``partition``    the fold of one partition of the log, record by record
``strength``     strength, confidence and decay of an interaction
``model``        item factors as they are served
``foldin``       one user's factors against fixed item factors, with Spark's objective
``sieve``        rows with the greatest products, from 8-bit integers with a rigorous bound
``catalogue``    tracks, artists, genres and charts as they are ranked
``charts``       charts out of counted listeners, overall and along the tree of genres
``ranking``      histories -> pages; with ``ranking_config``, ``candidates``, ``pools``, ``standing``,
                 ``selection``, ``personal`` (the list), ``rails``, ``cold_start`` and ``page``
``exploration``  seeded draws whose probabilities are known
``similar``      tracks that are alike
``explanation``  the share of a score that each past interaction contributes
``metrics``      NDCG, recall and their kin
"""
