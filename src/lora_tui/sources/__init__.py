"""Where conversations come from: one module per format, each yields sessions."""
