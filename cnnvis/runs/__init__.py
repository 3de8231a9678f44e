"""Run folders: what is computed is kept shard by shard, so that nothing done is lost."""
