"""What a fitted recommender is: scores of a block of users over all items, and what is done with them."""
