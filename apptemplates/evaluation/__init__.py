"""Truth and answers in, a Report out: metrics, intervals, calibration, thresholds, audit, explanations, figures."""
