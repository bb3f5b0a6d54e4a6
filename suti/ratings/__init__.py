"""Human ratings: a blind study of generated pictures, the page on which people answer, and what their answers say."""
