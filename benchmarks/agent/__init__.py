"""What does the agent learn, and how well does it play?"""
