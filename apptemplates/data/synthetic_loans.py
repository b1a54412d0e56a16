"""Loans made up by a small simulator, some of them not paid back: for demos and tests of a risk scorer."""

import numpy as np

from apptemplates.data.table import Table

PURPOSES = np.array(["car", "kitchen", "studies", "holiday", "debts"], dtype=object)
HOUSING = np.array(["rents", "owns", "with family"], dtype=object)
SEXES = np.array(["female", "male"], dtype=object)


def loans(n: int = 4000, seed: int = 0) -> Table:
    """Applications for a loan, about one in five not paid back.

    What decides is the instalment beside the income, earlier failures, years in the job, the purpose, and what the
    table does not hold. Women earn less here for the same risk, so that a score that looks at income alone refuses
    them more often.

    Args:
        n: Number of applications.
        seed: Of the draw.

    Returns:
        A table: customer, income (a month), amount, months, age, years_in_job (NaN where unknown), failures, purpose,
        housing, sex (sensitive), age_group (sensitive), not_paid_back (0/1). Some customers apply twice.

    Example:
        >>> loans(3)["amount"].shape
        (3,)
    """
    rng = np.random.default_rng(seed)
    customer = np.where(rng.random(n) < 0.1, rng.integers(0, n, n), np.arange(n))
    female = rng.random(n) < 0.45
    age = np.clip(rng.normal(41, 13, n), 18, 80).round()
    years = np.minimum(rng.gamma(1.6, 4.0, n), age - 17)
    income = rng.lognormal(7.75, 0.35, n) * np.where(female, 0.6, 1.0)
    amount = np.round(rng.lognormal(9.2, 0.7, n), -1)
    months = rng.choice([12, 24, 36, 48, 60], n)
    failures = rng.poisson(0.35, n)
    purpose, housing = rng.integers(0, len(PURPOSES), n), rng.integers(0, len(HOUSING), n)
    burden = amount * 1.1 / months / (income * np.where(female, 1 / 0.6, 1.0))
    hidden = rng.normal(0, 0.8, n)
    odds = (
        -3.6 + 14 * np.minimum(burden, 0.4) + 0.9 * np.minimum(failures, 3) - 0.12 * np.minimum(years, 10)
        + np.array([0.0, -0.5, 0.2, 0.5, 0.9])[purpose] - 0.4 * (housing == 1) + 0.5 * (age < 25) + hidden
    )  # fmt: skip
    years[rng.random(n) < 0.06] = np.nan
    return {
        "customer": np.array([f"customer-{number:05d}" for number in customer], dtype=object),
        "income": income.round(),
        "amount": amount,
        "months": months.astype("float64"),
        "age": age,
        "years_in_job": years.round(1),
        "failures": failures.astype("float64"),
        "purpose": PURPOSES[purpose],
        "housing": HOUSING[housing],
        "sex": SEXES[(~female).astype(int)],
        "age_group": np.where(age < 25, "below 25", np.where(age < 60, "25 to 59", "60 and more")).astype(object),
        "not_paid_back": (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64),
    }
