"""What an audit looks for; each module is one kind of trouble."""
