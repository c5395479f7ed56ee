"""How good an encoder is at finding people, measured the way a user searches."""
