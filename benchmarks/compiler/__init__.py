"""Does the compiler do what a plan says?"""
