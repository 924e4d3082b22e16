"""What can go wrong, and what is lost then?"""
