"""A page that runs trained models in a browser: one HTML file, weights and scripts inside."""
