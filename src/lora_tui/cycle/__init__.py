"""The cycle: what is new becomes examples, a dataset, an adapter that is compared, and what production means."""
