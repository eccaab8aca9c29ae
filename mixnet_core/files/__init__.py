"""Files of models and trainings: written whole or not at all, read without pickle."""
