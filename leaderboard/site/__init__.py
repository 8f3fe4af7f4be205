"""The board as a static site: pages for people to look at, made from the records alone."""
