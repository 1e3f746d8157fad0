"""Machines by the hour: what is offered, what is rented, and that nothing rented is ever left behind."""
