"""From a snapshot to a served model.

``settings`` and ``schemas`` say what to train with; here stands how:

``configuration``  the numbers of one training and its ``training_id``
``preparation``    one history -> interactions, outlier rules, held-out share (pure, runs inside Spark)
``session``        Spark on loopback, its folders emptied afterwards
``interactions``   snapshot parts -> prepared users -> dense ids -> ratings (Spark)
``fit``            Spark's implicit ALS
``catalogue``      audio features by MongoDB's connector, standardised (Spark)
``global_split``   what happened after one moment is held out, for everybody (Spark)
``judgement``      judged users, ranking on the full catalogue, metrics with intervals
``gate``           whether a model may be served, and why not
``placement``      factors for tracks without plays, from their audio features
``pipeline``       the steps of one training, in order
``publication``    model documents, pointer, ``Activate`` in every partition
``progress``       ``jobs`` documents and the terminal
``estimate``       how long a training will still take
``drift``          how far taste has gone from the served model
``child``          a training as a child process with a deadline and a memory limit
``trainer``        the program that waits for snapshots
``cli``            ``python -m training``

Only the child imports pyspark: the waiting trainer stays small.
"""
