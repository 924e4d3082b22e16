"""Do the game, the judge and the solvers agree?"""
