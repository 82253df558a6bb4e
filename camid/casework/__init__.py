"""The analyst's questions, answered from enrolled devices and a few photographs."""
