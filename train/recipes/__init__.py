"""The recipes, a file each: frozen settings, then the way from the data sets to the model's file."""
