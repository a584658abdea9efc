"""Better settings from the shadow's pairs: thresholds, time limits, coverage of intents.

``fixed_sequence``, ``timeout``, ``threshold_proposals``, ``coverage`` and ``gaps`` are pure: facts in, proposals out.
Reading is in ``pairs``, ``labels``, ``thresholds_file``, ``conversations`` and ``corpus``, writing in ``proposal_file``
and the two documents; ``calibrate_command`` joins them.
"""
