"""What hosts keep of images: how they get it, what is wanted there, and what is."""
