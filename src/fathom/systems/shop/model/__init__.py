"""The shop if computers were infinitely fast and never failed."""
