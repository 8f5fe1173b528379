"""The recipes, one file each: settings, then the steps from the data sets to the model's file or report."""
