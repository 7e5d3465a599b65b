"""What a network looks like: binned and sampled values, drawn as SVG or as text without any library."""
