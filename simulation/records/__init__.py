"""A hospital's private data: sources of records, how they are dealt to hospitals, and the shard.

`params` is light and holds what a configuration may say; `load` turns it into one `Shard` for each
hospital; `registry` lists the sources with their licences; `fetch` downloads what is not bundled.
"""
