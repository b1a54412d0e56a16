"""Raw records in: readers, schema, kinds of columns, splits, batches, trials, pre-flight, synthetic records."""
