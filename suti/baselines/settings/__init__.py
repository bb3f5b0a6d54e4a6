"""Settings of the systems that SuTI is compared with, a module each: ``baselines.NAME`` of the configuration.

They stand beside the methods and not in them: the configuration and the plan of the workflow read them without torch,
and a reworded description is no change of a method's code.
"""
