"""The indexes behind novelty and dedup: exact ROUGE-L, fuzzy, MinHash, semantic, decontamination."""
