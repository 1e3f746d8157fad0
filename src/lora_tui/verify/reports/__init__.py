"""Reports: what the answers of a comparison prove, with gates, as files and over versions."""
