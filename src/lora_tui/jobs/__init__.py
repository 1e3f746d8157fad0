"""Long work: its description, its journal, its process."""
