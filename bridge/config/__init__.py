"""
Reads bridge.yaml and mappings/*.yaml: text in, frozen values or every mistake at once out.

    yaml_reader   text -> a tree that knows where everything stands
    schema_*      the shapes of the files, and what a single value must look like: pydantic, with checks, addresses
    explain       pydantic's errors in our words, at their place in the tree
    relations*    what the values of one mapping must be together
    translate     values of bridge.core, and Config
    conflicts     what two mappings cannot both mean
    load          all of it, in that order
"""
