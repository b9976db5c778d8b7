"""
Planted bugs: a check that cannot fail is a defect, so each promise's tests are shown to fail on one at the least.

`make mutants` applies each to a copy of the house and runs just the tests that must fail.
"""
