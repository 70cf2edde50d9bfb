"""Light stations, thousands of them: each has a connection, answers and data of its own, and a closed form in place of a house."""
