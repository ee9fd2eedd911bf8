"""Where images may lie: folders, tar shards, zip archives, tables, URLs and the Hugging Face hub."""
