"""`sps discover`: one file a way of finding devices; each is bounded in time and says in one line why it found nothing."""
