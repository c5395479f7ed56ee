"""Formulas on tensors that say how well images and sentences agree."""
