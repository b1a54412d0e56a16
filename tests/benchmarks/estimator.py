"""All of scikit-learn's own checks of an estimator, on a template's: python tests/benchmarks/estimator.py"""

import time
import warnings
from unittest import SkipTest

from sklearn.utils.estimator_checks import estimator_checks_generator

import apptemplates as at


def main() -> None:
    """Prints each check with its seconds, and how many hold."""
    warnings.simplefilter("ignore")
    held, told, skipped = 0, 0, 0
    for estimator, check in estimator_checks_generator(at.RiskScorer(refit=False, epochs=8).estimator()):
        name, start = getattr(check, "func", check).__name__, time.time()
        try:
            check(estimator)
            said = "holds"
            held += 1
        except SkipTest as error:
            said = f"skipped: {error}"
            skipped += 1
        except (AssertionError, ValueError, TypeError, AttributeError) as error:
            said = f"FAILS: {str(error)[:300]}"
        told += 1
        print(f"{time.time() - start:6.1f} s  {name}: {said}", flush=True)
    print(f"{held} of {told} checks hold, {skipped} were skipped")


if __name__ == "__main__":
    main()
