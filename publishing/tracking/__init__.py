"""After the handing over: what became of posts, looking for lost ones, taking them back."""
