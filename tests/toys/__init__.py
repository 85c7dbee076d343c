"""A small generator, judge and teacher whose answers are functions of the request: for tests of the engine."""
