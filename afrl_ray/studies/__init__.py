"""The paper's tables and figures as data, and what runs them.

`catalogue` and `scales` hold one YAML file each for a study and for a scale. Import from the modules: `expand` needs
neither torch nor Ray.
"""
