"""The two posts, each cell marked.

A comment such as "Post 2, cell 4" marks each of a post's nine cells. The modules follow the order
of the cells, with one exception: in post 3's module, cell 7 stands inside the class of cell 5,
before cell 6.
"""
