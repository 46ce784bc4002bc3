"""The parts of scripts/quality: scenarios, a run, matching with the truth, rivals, figures and tables."""
