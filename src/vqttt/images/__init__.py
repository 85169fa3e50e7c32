"""Everything that happens to an image before a model sees it: reading, degrading, restoring and measuring."""
