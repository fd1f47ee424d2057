"""The routes of the admin API, a module for each kind of object: what is said of one, what is done to it."""
