"""What jobs do beside what they are for. Its code decides nothing of that, so it is no part of the
hash that runs a job again: a changed evaluation must cost no training.
"""

# Figures of merit, which the rule ``evaluate`` brings up to date; whether the job needs to begin.
EVALUATION = ("zslpipe.scores.evaluation", "zslpipe.formats.kept")
# And whether a training can.
BESIDE = (*EVALUATION, "zslpipe.runs.readiness", "zslpipe.runs.made_of")
