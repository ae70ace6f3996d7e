"""The pages of the hedge's report: an EffectivenessReport and its accounting as a Document."""
