"""What happens beside the steps: telling the journal, doing what was asked, watching for trouble."""
