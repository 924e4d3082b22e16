"""Who proposes programs to compile, a file each; ``order`` says whose turn it is."""
