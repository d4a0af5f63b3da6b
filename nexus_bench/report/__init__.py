"""Reports made from result files alone: tables, figures, a page, summaries for CI."""
