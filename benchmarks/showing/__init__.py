"""What do the rows say to a reader? The picture, the quoted figures and the site's page of results."""
