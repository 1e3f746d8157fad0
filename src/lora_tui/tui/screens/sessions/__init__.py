"""Sessions: read examples, see why they are labelled as they are, decide with one key each."""
