"""Run folders, in which results are kept shard by shard, so that no finished work is lost."""
