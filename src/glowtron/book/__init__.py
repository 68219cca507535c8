"""Books: files with chapters read, spoken chapter by chapter, and put together as an audiobook."""
