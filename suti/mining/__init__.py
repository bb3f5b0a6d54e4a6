"""Mining (section 4): from web pages to clusters of pictures of one subject."""
