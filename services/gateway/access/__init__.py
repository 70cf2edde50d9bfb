"""Who may use the page and the API: password, sessions, API tokens, and the gate that asks for them."""
