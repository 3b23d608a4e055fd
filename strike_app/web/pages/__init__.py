"""One module a page: what is asked, what is shown, what its forms do."""
