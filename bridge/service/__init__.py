"""`bridge run`: the process that stays, looks at sources again and again, and has models follow them."""
