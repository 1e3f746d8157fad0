"""Whether it is better: suite, checks, endpoints, comparison, report."""
