"""JSON Schemas: generated, judged before use, and evaluated."""
