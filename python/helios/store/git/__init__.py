"""What is stored in git's objects: how git is run, the map of ids, and objects derived on read."""
