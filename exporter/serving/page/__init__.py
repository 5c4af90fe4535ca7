"""The live page: HTML, style and script by hand, put together into one file that needs no other."""
