"""The questions, one module each. This folder is the registry: see `core.course.course`."""
