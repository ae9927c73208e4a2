"""Tables, figures and claims of "Selecting and Merging" from the results.h5 of samner's runs."""
