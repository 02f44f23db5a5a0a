"""The local oracle: is a gradient the derivative of the output? Asked of copies, in float64 where that runs.

May not: be imported from outside the recording side.
"""
