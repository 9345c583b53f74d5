"""Replay: fold the log into a complete snapshot, without any worker.

``cut``        where to fold to: the end of now, a time, or offsets given
``folding``    one process: fold partitions one by one, checkpoint, write their parts
``processes``  as many of them as there are cores, and what they tell
``display``    how far it is, on a terminal or line by line
``run``        all of it
"""
