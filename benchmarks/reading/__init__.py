"""Is what is read from texts right?"""
