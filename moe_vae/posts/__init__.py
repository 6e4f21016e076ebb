"""The two posts, each cell marked.

The modules follow the order of the cells, with one exception: in post 3's module, cell 7 stands
inside the class of cell 5, before cell 6.
"""
