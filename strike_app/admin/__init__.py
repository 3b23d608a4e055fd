"""What whoever runs Strike does on the command line; every change leaves its audit."""
