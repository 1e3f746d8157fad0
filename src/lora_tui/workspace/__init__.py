"""The folder on disk: layout, SQLite store, settings, profiles, errors. Imports no other room."""
