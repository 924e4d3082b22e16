"""What commands answer, as JSON documents and as lines for people, where it is long or several commands tell it."""
