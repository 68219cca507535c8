"""Listening tests: made from folders of clips, heard in a browser, and reported with intervals that hold."""
