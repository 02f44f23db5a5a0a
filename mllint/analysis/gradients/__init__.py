"""Where gradients flow: which functions receive one, pass it on, and fill it with large constants.

`flows.flows` reads one file, `routes.gradient_fills` joins the files of a project.
"""
