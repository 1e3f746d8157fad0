"""An optional judge: any endpoint that reads answers. By rubric in a run (`grading`), or two at a time (`pairwise`).

It is asked after all sides have answered: beside them it would slow them down, and a server that holds one model at a
time would load them by turns.
"""
